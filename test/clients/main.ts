/**
 * `npm run test:clients`: what docs/clients.md shows, as a reader would do it, on the cluster of the sandbox: its commands by bash, and its programs with
 * the libraries that it names. Only the address is another one.
 */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { singleFile } from '../../cli/single-file.ts'
import { librariesIn, unpackPackages } from '../e2e/machine/debian.ts'
import { ensureKubectl } from '../e2e/machine/peers.ts'
import { attempt, run, type RunOptions } from '../e2e/process.ts'
import { createReport, type Report } from '../e2e/report.ts'
import { parseSettings } from '../e2e/settings.ts'
import { SandboxProcess } from '../sandbox/sandbox-process.ts'
import { blocksOf, type Block } from './page.ts'

const ROOT = join(import.meta.dirname, '..', '..')
/** In the page. Members have 2379, too. */
const HOST = 'demo-client.default.svc'
const ETCD3 = 'etcd3@1.1.2'
/** Each program ends with these lines, the commands of curl with more. */
const WANTED = ['/app/greeting = hello', 'PUT /app/greeting']
/** Its library is at Maven Central alone. */
const NOT_RUN = ['java']
/** Of a pod. */
const NO_PROGRAM = ['yaml']

interface Place {
  readonly report: Report
  /** With the files of the certificates. */
  readonly folder: string
  readonly cache: string
  /** Of a member. */
  readonly address: string
  readonly env: Record<string, string>
}

type Runner = (place: Place, text: string) => Promise<string>

const RUNNERS: Readonly<Record<string, Runner>> = { go: runGo, js: runNode, python: runPython }

async function main(): Promise<boolean> {
  const parsed = parseSettings({ ...process.env, KUBECONFIG: undefined, RAFTKV_E2E_IMAGE: undefined }, ROOT)
  if (!parsed.ok) throw new Error(parsed.problem)
  const { cache } = parsed.settings
  const report = createReport(console.log, Date.now)
  const programs = await ensureKubectl(report, ROOT, cache)
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-clients-'))
  const state = join(folder, 'state')
  const sandbox = new SandboxProcess(['--port', '0', '--directory', state])
  try {
    await report.step('a cluster of three in the sandbox', () => sandbox.printed(/Ctrl-C stops everything/))
    const address = /https:\/\/(127\.[\d.]+):2379/.exec(sandbox.text)?.[1] ?? ''
    const page = readFileSync(join(ROOT, 'docs', 'clients.md'), 'utf8')
    const PATH = [dirname(process.execPath), folder, process.env['PATH'] ?? '', programs].join(delimiter)
    const env = { PATH, KUBECONFIG: join(state, 'kubeconfig') }
    await runPage({ report, folder, cache, address, env }, blocksOf(page))
    await report.step('kubectl finds kubectl raft in PATH, which shows the cluster', () => usePlugin(folder, env))
  } catch (error) {
    report.note(error instanceof Error ? error.message : String(error))
    report.fail('the run could not go on')
  } finally {
    sandbox.signal('SIGINT')
    await sandbox.ended()
    rmSync(folder, { recursive: true, force: true })
  }
  return report.close()
}

/** The first two blocks of commands make what all others need: users, files, a password. */
async function runPage(place: Place, blocks: readonly Block[]): Promise<void> {
  const { report, env } = place
  const commands = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text)
  const [users = '', files = '', ...requests] = commands
  await report.step('a user, and the certificates in files', async () => {
    const end = '\nprintf %s "$PASSWORD"'
    env['PASSWORD'] = (await bash(place, users + files + end)).split('\n').at(-1) ?? ''
  })
  if (requests.length === 0) throw new Error('the page has no requests by curl')
  for (const text of requests) await report.step('curl', async () => isAsWanted(await bash(place, text)))
  for (const [language, runner] of Object.entries(RUNNERS)) {
    const program = blocks.find((block) => block.language === language)
    if (program === undefined) throw new Error(`the page has no program in ${language}`)
    await report.step(language, async () => isAsWanted(await runner(place, program.text)))
  }
  for (const { language } of blocks) {
    const isRun = language === 'sh' || language in RUNNERS
    if (NOT_RUN.includes(language)) report.note(`        not run here: the program in ${language}`)
    else if (!isRun && !NO_PROGRAM.includes(language)) throw new Error(`nobody runs what is in ${language}`)
  }
}

function isAsWanted(output: string): void {
  const lines = output.split('\n')
  const missing = WANTED.filter((line) => !lines.includes(line))
  if (missing.length > 0) throw new Error(`it does not print ${missing.join(', ')}, but ${output}`)
}

const atMember = ({ address }: Place, text: string): string => text.replaceAll(HOST, address)
const within = ({ folder, env }: Place): RunOptions => ({ cwd: folder, env, timeoutMs: 240_000 })

function bash(place: Place, text: string): Promise<string> {
  return run(['bash', '-eu', '-c', atMember(place, text)], within(place))
}

/** go.sum pins what the page gets. */
async function runGo(place: Place, text: string): Promise<string> {
  const source = join(place.folder, 'go')
  cpSync(join(ROOT, 'test', 'e2e', 'peers', 'clients'), source, { recursive: true })
  writeFileSync(join(source, 'main.go'), atMember(place, text))
  const program = join(place.folder, 'greeting')
  await run(['go', 'build', '-mod=readonly', '-o', program, '.'], { cwd: source, env: { GOFLAGS: '' } })
  return run([program], within(place))
}

/** By its name: Node 26 takes no address as the name of a server, and @grpc/grpc-js gives it one. */
async function runNode(place: Place, text: string): Promise<string> {
  await run(['npm', 'install', '--no-audit', '--no-fund', '--no-update-notifier', ETCD3], within(place))
  writeFileSync(join(place.folder, 'greeting.mjs'), text)
  const found = JSON.stringify([{ address: place.address, family: 4 }])
  const hosts = `data:text/javascript,import dns from 'node:dns'; dns.promises.lookup = async () => (${found})`
  return run([process.execPath, '--import', hosts, 'greeting.mjs'], within(place))
}

async function runPython(place: Place, text: string): Promise<string> {
  const { python, env } = await ensurePython(place.cache)
  return run([python, '-c', atMember(place, text)], { ...within(place), env: { ...place.env, ...env } })
}

/** Debian's, with its etcd3: that of this machine, or unpacked. */
async function ensurePython(cache: string): Promise<{ readonly python: string; readonly env: Record<string, string> }> {
  const python = '/usr/bin/python3'
  if ((await attempt([python, '-c', 'import etcd3'])).code === 0) return { python, env: {} }
  const folder = join(cache, 'python')
  if (!existsSync(folder)) await unpackPackages('The Python package etcd3', ['python3-etcd3'], folder)
  const packages = join(folder, 'usr', 'lib', 'python3', 'dist-packages')
  return { python, env: { PYTHONPATH: packages, LD_LIBRARY_PATH: librariesIn(folder) } }
}

async function usePlugin(folder: string, env: Readonly<Record<string, string>>): Promise<void> {
  writeFileSync(join(folder, 'kubectl-raft'), singleFile(), { mode: 0o755 })
  const shown = await run(['kubectl', 'raft', 'status', 'demo'], { env })
  if (!shown.startsWith('RaftCluster default/demo\n')) throw new Error(`it shows ${shown}`)
}

process.exitCode = (await main()) ? 0 : 1
