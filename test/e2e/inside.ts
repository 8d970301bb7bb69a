/** A run's stage on the box: the first process in its namespaces after namespaces.sh. Its input is one JSON argument. */
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { errorKinds, unknownErrors } from './checks/apiserver-log.ts'
import { connect } from './cluster/kube.ts'
import { runLoad } from './kubernetes/load.ts'
import { bringUpBox, type Box } from './machine/box.ts'
import { NEXT_TAG, PROJECT_IMAGE } from './machine/images.ts'
import { createReport } from './report.ts'
import { runScenario } from './scenario/scenario.ts'

const Input = z.object({
  /** `etcd`: what the API server says of its work on etcd. `raftkv`: the same on our members, then the main scenario. */
  store: z.enum(['etcd', 'raftkv']),
  root: z.string(),
  cache: z.string(),
  programs: z.string(),
  folder: z.string(),
  imageTars: z.array(z.string()),
  progress: z.object({ startedMs: z.number(), passed: z.number() }),
  only: z.array(z.string()).optional(),
})

process.setMaxListeners(100) // one for every program that runs, so that an exit ends them
const { store, root, cache, programs, folder, imageTars, progress, only } = Input.parse(
  JSON.parse(process.argv[2] ?? '{}'),
)
const report = createReport(print, Date.now, progress)
/** What the API server complains of on etcd: written in one stage, read in the next. */
const knownErrors = join(cache, 'apiserver-errors-on-etcd.json')

/** Kept among the logs: no Secret may be in it either. */
function print(line: string): void {
  console.log(line)
  mkdirSync(join(folder, 'logs'), { recursive: true })
  appendFileSync(join(folder, 'logs', 'e2e.log'), `${line}\n`)
}

async function main(): Promise<void> {
  process.env['PATH'] = `${programs}:${process.env['PATH'] ?? ''}`
  const box = await bringUpBox(report, { store, root, folder, programs, imageTars })
  const readLog = (): string => readFileSync(join(folder, 'logs', 'kube-apiserver.log'), 'utf8')
  if (only !== undefined) return scenarioOn(box)
  // Kubernetes' own parts race one another at the start, and complain of it in another way each time, on etcd too.
  const atStart = readLog().length
  const kube = await connect(box.kubeconfig)
  await runLoad(report, kube, box.store)
  kube.close()
  const log = readLog().slice(atStart)
  if (store === 'etcd') return writeFileSync(knownErrors, JSON.stringify([...errorKinds(log).keys()]))
  const known = new Set(z.array(z.string()).parse(JSON.parse(readFileSync(knownErrors, 'utf8'))))
  report.note(
    `        kinds of errors in the API server's log: ${known.size} on etcd, ${errorKinds(log).size} on raftkv`,
  )
  report.check("the API server's log has no error that it does not have on etcd", unknownErrors(log, known))
  await scenarioOn(box)
}

function scenarioOn({ kubeconfig }: Box): Promise<void> {
  const options = { root, cache, programs, kubeconfig, image: PROJECT_IMAGE, nextTag: NEXT_TAG, isBox: true, only }
  return runScenario(report, options)
}

try {
  await main()
} catch (error) {
  report.note(error instanceof Error ? (error.stack ?? error.message) : String(error))
  report.fail('the run could not go on')
}
if (store === 'etcd' && !report.hasFailed()) {
  writeFileSync(join(cache, 'progress.json'), JSON.stringify(report.progress()))
  process.exit(0)
}
process.exit(report.close() ? 0 : 1)
