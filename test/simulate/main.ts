/** `npm run simulate`: seeds on all cores, failures with the command that replays them, and how far the runs have come. */
import { parseOptions, USAGE } from './options.ts'
import { Runs } from './runs.ts'
import { SUBJECTS } from './subjects.ts'

const names = SUBJECTS.map(({ name }) => name)
const parsed = parseOptions(process.argv.slice(2), names)
if (!parsed.ok) {
  console.error(`${parsed.error}\n\n${USAGE}`)
  process.exit(2)
}
const { subjects, forMs, ...options } = parsed.value
const chosen = SUBJECTS.filter(({ name }) => subjects.length === 0 || subjects.includes(name))
for (const subject of chosen) {
  const runs = new Runs(subject, { ...options, forMs: forMs / chosen.length })
  await runs.run()
  if (!runs.report()) process.exitCode = 1
}
