/** A process of its own that runs the seeds it is sent, one at a time: `worker.ts SUBJECT [MEMBERS]`. */
import { assert } from '../../lib/assert.ts'
import type { SeedReport } from './runs.ts'
import { SUBJECTS } from './subjects.ts'

const [name, members] = process.argv.slice(2)
const subject = SUBJECTS.find((candidate) => candidate.name === name)
assert(subject !== undefined, `there is no subject ${name}`)
const { run } = subject

async function tell(seed: number): Promise<SeedReport> {
  const before = process.cpuUsage()
  const { counts, work, simulatedMs, failure } = await run(seed, members === undefined ? undefined : Number(members))
  const { user, system } = process.cpuUsage(before)
  const text = failure && [...failure.events, '', failure.error.stack ?? failure.error.message].join('\n')
  return { seed, counts: [...counts], work, simulatedMs, cpuMs: (user + system) / 1000, failure: text }
}

process.on('message', (seed: number) => {
  tell(seed).then(
    (told) => process.send?.(told),
    (error: unknown) => {
      throw error
    },
  )
})
process.on('disconnect', () => process.exit())
