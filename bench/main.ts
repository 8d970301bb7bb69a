/**
 * Ours beside etcd 3.7.3: each load and each figure on three members as processes, in rounds, one table of ratios at the
 * median. The client shares the machine with the members. docs/performance.md says what is measured and how to read it.
 * Exit codes: 0 all was measured, 1 something failed, 2 wrong flags.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { etcd, ours } from '../test/limits/programs.ts'
import { chosenStages } from './chosen.ts'
import { parseOptions, USAGE } from './options.ts'
import { ensurePrograms } from './programs.ts'
import { play } from './rounds.ts'
import { STAGES } from './stages.ts'
import { printed, rowsOf } from './table.ts'

async function main(): Promise<number> {
  const parsed = parseOptions(process.argv.slice(2))
  if (!parsed.ok) {
    console.error(`${parsed.error}\n${USAGE}`)
    return 2
  }
  const options = parsed.value
  const stages = chosenStages(STAGES, options.only)
  const steps = stages.flatMap(({ steps }) => steps)
  if (steps.length === 0) {
    const names = STAGES.flatMap(({ steps }) => steps.map(({ name }) => name))
    console.error(`--only: there are ${names.join(', ')}`)
    return 2
  }
  const programs = await ensurePrograms(options.programs)
  if (!existsSync(programs.etcd)) {
    console.error(`--programs: there is no ${programs.etcd}`)
    return 2
  }
  const { scale, rounds, isOursAlone } = options
  const played = await play({
    stages,
    ours: ours(options.nodeFlags, options.memberFlags),
    etcd: isOursAlone ? undefined : etcd(programs.etcd),
    rounds,
    place: {
      tools: programs.tools,
      size: (full, least = 1) => Math.max(least, Math.round(full * scale)),
    },
    say: console.error,
  })
  const rows = rowsOf(steps, played.ours, played.etcd)
  const tables = printed(rows)
  console.log(tables)
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify({ scale, rounds, rows }, undefined, 2))
  if (options.markdown !== undefined) writeFileSync(options.markdown, `${tables}\n`)
  for (const failure of played.failures) console.error(`FAILED ${failure}`)
  return played.failures.length === 0 ? 0 : 1
}

// Their end takes the processes and folders along.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
process.exit(await main())
