/** Second half of a run on the box: the first process in its namespaces after namespaces.sh. Its input is one JSON argument. */
import { z } from 'zod'
import { bringUpBox } from './machine/box.ts'
import { PROJECT_IMAGE } from './machine/images.ts'
import { createReport } from './report.ts'
import { runScenario } from './scenario/scenario.ts'

const Input = z.object({
  root: z.string(),
  cache: z.string(),
  programs: z.string(),
  folder: z.string(),
  imageTars: z.array(z.string()),
  progress: z.object({ startedMs: z.number(), passed: z.number() }),
})

process.setMaxListeners(100) // one for every program that runs, so that an exit ends them
const { root, cache, programs, folder, imageTars, progress } = Input.parse(JSON.parse(process.argv[2] ?? '{}'))
const report = createReport(console.log, Date.now, progress)
try {
  process.env['PATH'] = `${programs}:${process.env['PATH'] ?? ''}`
  const kubeconfig = await bringUpBox(report, { folder, programs, imageTars })
  await runScenario(report, { root, cache, programs, kubeconfig, image: PROJECT_IMAGE, isBox: true })
} catch (error) {
  report.note(error instanceof Error ? (error.stack ?? error.message) : String(error))
  report.fail('the run could not go on')
}
process.exit(report.close() ? 0 : 1)
