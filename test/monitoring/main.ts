/**
 * npm run test:alerts: has Prometheus' own promtool read the chart's alerts and carry them out on made-up series, on which each
 * fires, or must not (cases.ts).
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { isInstalled, run } from '../e2e/process.ts'
import { ALERTS_FILE, readRules } from './alerts.ts'
import { CASES, type AlertCase } from './cases.ts'

const CACHE = join(import.meta.dirname, '..', '..', '.cache', 'promtool')

/** The one in PATH, or that of the Debian package, which is unpacked and not installed. */
async function promtool(): Promise<string> {
  if (await isInstalled('promtool')) return 'promtool'
  const program = join(CACHE, 'usr', 'bin', 'promtool')
  if (existsSync(program)) return program
  if (!(await isInstalled('apt-get')))
    throw new Error('promtool is needed, which Prometheus brings, and is not in PATH')
  const download = mkdtempSync(join(tmpdir(), 'raftkv-promtool-'))
  try {
    await run(['apt-get', 'update', '-qq'])
    await run(['apt-get', 'download', '-qq', 'prometheus'], { cwd: download })
    const [file] = readdirSync(download)
    if (file === undefined) throw new Error('apt-get has downloaded nothing')
    mkdirSync(CACHE, { recursive: true })
    await run(['dpkg', '-x', join(download, file), CACHE])
  } finally {
    rmSync(download, { recursive: true })
  }
  return program
}

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

const program = await promtool()
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
