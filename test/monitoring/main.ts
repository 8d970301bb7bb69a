/**
 * npm run test:alerts: has Prometheus' own promtool read the chart's alerts and carry them out on made-up series, on which each
 * fires, or must not (cases.ts).
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { ensurePrometheus } from '../e2e/machine/prometheus.ts'
import { run } from '../e2e/process.ts'
import { ALERTS_FILE, readRules } from './alerts.ts'
import { CASES, type AlertCase } from './cases.ts'

const CACHE = join(import.meta.dirname, '..', '..', '.cache', 'e2e')

/** Expected alerts are told whole, so their texts are taken out: promtool reads those in the file of the chart. */
function withoutTexts(): string {
  const file = parse(readFileSync(ALERTS_FILE, 'utf8')) as { groups: { rules: { annotations?: unknown }[] }[] }
  for (const { rules } of file.groups) for (const rule of rules) delete rule.annotations
  return stringify(file)
}

/** That so many alerts of the name fire at the time of the case. */
function testOf({ alert, at }: AlertCase, series: Readonly<Record<string, string>>, firing: number): object {
  return {
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
        eval_time: at,
        exp_samples: [{ labels: '{}', value: firing }],
      },
    ],
  }
}

const { promtool: program } = await ensurePrometheus(CACHE)
await run([program, 'check', 'rules', ALERTS_FILE])
const directory = mkdtempSync(join(tmpdir(), 'raftkv-alerts-'))
try {
  writeFileSync(join(directory, 'rules.yaml'), withoutTexts())
  const tests = CASES.flatMap((one) => [testOf(one, one.fires, 1), testOf(one, one.stays, 0)])
  writeFileSync(
    join(directory, 'tests.yaml'),
    stringify({ rule_files: ['rules.yaml'], evaluation_interval: '1m', tests }),
  )
  await run([program, 'test', 'rules', 'tests.yaml'], { cwd: directory })
} finally {
  rmSync(directory, { recursive: true })
}
console.log(`${readRules().length} alerts: each fires on its series, and stays quiet on others like them`)
