/**
 * End-to-end test on a real Kubernetes: `npm run test:e2e`.
 *
 * Without settings it brings up a Kubernetes of its own: what is missing on the machine is installed and built here, where
 * there is a network; each stage (inside.ts) runs as another process in namespaces that end with it. The first stage puts
 * a load on Kubernetes over etcd; the second the same load over three members of ours, and then, on that Kubernetes, the
 * main scenario: our operator managing our store on a Kubernetes that stands on our store.
 * With KUBECONFIG and RAFTKV_E2E_IMAGE set the scenario runs here, against that cluster.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { cgroupPaths } from './machine/box.ts'
import { buildImages } from './machine/images.ts'
import { ensurePeers } from './machine/peers.ts'
import { ensurePrometheus } from './machine/prometheus.ts'
import { ensurePrerequisites } from './machine/prerequisites.ts'
import { run } from './process.ts'
import { tryRelease } from './release.ts'
import { createReport, type Report } from './report.ts'
import { runScenario } from './scenario/scenario.ts'
import { parseSettings, type Settings } from './settings.ts'

const NAMESPACES = ['unshare', '--net', '--pid', '--mount', '--fork', '--mount-proc', '--kill-child']
const INTERRUPTED = 130
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

async function main(): Promise<number> {
  const parsed = parseSettings(process.env, join(import.meta.dirname, '..', '..'))
  if (!parsed.ok) {
    console.error(parsed.problem)
    return 2
  }
  const { settings } = parsed
  const { cache, root, target } = settings
  const report = createReport(console.log, Date.now)
  mkdirSync(cache, { recursive: true })
  report.note(`what is built, and logs after a failure, are kept in ${cache}`)
  try {
    if (target.kind === 'given') {
      const programs = await ensurePeers(report, root, cache, false)
      const { kubeconfig, image } = target
      await runScenario(report, { root, cache, programs, kubeconfig, image, isBox: false, only })
      return report.close() ? 0 : 1
    }
    return await runInBox(report, settings)
  } catch (error) {
    report.note(error instanceof Error ? (error.stack ?? error.message) : String(error))
    report.fail('the run could not go on')
    report.close()
    return 1
  }
}

/** Kubernetes on etcd first: what its API server complains of there is what it may complain of on our store. */
const ALL_STAGES = ['etcd', 'raftkv'] as const
/** `npm run test:e2e -- raftkv` leaves the first out, and compares with what it found in an earlier run. */
const { values, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: 'string' } } })
/** `--only quorum-lost,image`: these trials (trials.ts) alone; `main` is the main scenario. */
const only = values.only?.split(',')
const STAGES = ALL_STAGES.filter((stage) =>
  only === undefined ? positionals.length === 0 || positionals.includes(stage) : stage === 'raftkv',
)

const TWIN_SEEDS = 30

async function runInBox(report: Report, { root, cache }: Settings): Promise<number> {
  await report.step('what the machine must have', () => ensurePrerequisites(report))
  const programs = await ensurePeers(report, root, cache, true)
  await ensurePrometheus(cache)
  if (only === undefined) await runWithPeers(report, root, programs)
  const { tars, earlier } = await buildImages(report, root, cache)
  const handedOn = join(cache, 'progress.json')
  writeFileSync(handedOn, JSON.stringify(report.progress()))
  for (const store of STAGES) {
    const progress: unknown = JSON.parse(readFileSync(handedOn, 'utf8'))
    const code = await runStage(cache, { store, root, cache, programs, imageTars: tars, earlier, progress, only })
    // 0 and 1 come from inside.ts, which has printed its own closing line.
    if (code === 1) return code
    if (code === 0) continue
    report.fail(
      code === INTERRUPTED ? 'interrupted: all that was started has ended' : `the namespaces ended with ${code}`,
    )
    report.close()
    return code
  }
  return 0
}

/** What needs programs of others, and no Kubernetes around it. */
async function runWithPeers(report: Report, root: string, programs: string): Promise<void> {
  await report.step(`the twin test: etcd and raftkv give the same answers to ${TWIN_SEEDS} generated sequences`, () =>
    run([process.execPath, join(root, 'test', 'twin', 'main.ts'), `--seeds=${TWIN_SEEDS}`]),
  )
  await report.step('the alerts fire when they should, and only then', () =>
    run([process.execPath, join(root, 'test', 'monitoring', 'main.ts')]),
  )
  await report.step('a browser looks at the operator’s page: light, dark, as a phone, by keyboard, live', () =>
    run([process.execPath, join(root, 'test', 'page', 'main.ts')]),
  )
  await report.step('a release of this tree, but for its image: checksums hold, Helm takes its charts', () =>
    tryRelease(root, programs),
  )
  await report.step('docs/clients.md: its commands and programs do what they say', () =>
    run([process.execPath, join(root, 'test', 'clients', 'main.ts')]),
  )
  await report.step('the conformance test: kube-apiserver and the sandbox give the same answers', () =>
    run([process.execPath, join(root, 'test', 'conformance', 'main.ts'), `--programs=${programs}`]),
  )
  await report.step('a Kubernetes moves from etcd to raftkv and back, every object and revision as it was', () =>
    run([process.execPath, join(root, 'test', 'migration', 'main.ts'), `--programs=${programs}`]),
  )
  await report.step('backups into a bucket under load and kills; each that is restored has exactly its writes', () =>
    run([process.execPath, join(root, 'test', 'backup', 'main.ts'), `--programs=${programs}`, '--seconds=30']),
  )
}

async function runStage(cache: string, input: object): Promise<number> {
  const folder = join(cache, 'box')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const first = [join(import.meta.dirname, 'machine', 'namespaces.sh'), folder]
  const inside = [process.execPath, join(import.meta.dirname, 'inside.ts'), JSON.stringify({ ...input, folder })]
  // setpriv: the namespaces end with this process even if it is killed without a chance to end them.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...NAMESPACES, ...first, ...inside], { stdio: 'inherit' })
  const code = await ending(child)
  await removeCgroups()
  if (code === 0) rmSync(folder, { recursive: true, force: true })
  return code
}

/** The exit code of the namespaces' first process; an interrupt ends them. */
async function ending(child: ChildProcess): Promise<number> {
  const interrupted = new AbortController()
  const interrupt = (): void => {
    interrupted.abort()
    child.kill('SIGKILL')
  }
  for (const signal of SIGNALS) process.removeAllListeners(signal).on(signal, interrupt)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(interrupted.signal.aborted ? INTERRUPTED : (code ?? 3)))
  })
}

/** Their processes have ended with the namespaces; the kernel may need a moment to notice. */
async function removeCgroups(): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt++) {
    try {
      for (const path of cgroupPaths()) if (existsSync(path)) removeFolders(path)
      return
    } catch {
      await sleep(250)
    }
  }
}

function removeFolders(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeFolders(join(path, entry.name))
  }
  rmdirSync(path)
}

process.setMaxListeners(100) // one for every program that runs, so that an exit ends them
// Exit handlers end what was started.
for (const signal of SIGNALS) process.on(signal, () => process.exit(INTERRUPTED))
process.exitCode = await main()
process.exit()
