/**
 * `npm test`: every test file, and seeds of the simulations. Tests of sockets, processes and timers spend a third of their time waiting,
 * and must not be kept waiting by others; so what only computes runs beside them at a lower priority, and takes what they leave.
 */
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

/** Folders whose tests take as long as the processor needs. Whatever is in no folder of these or of {@link SHARED} counts as waiting. */
const COMPUTING = [
  'node-server/node',
  'node-server/raft',
  'node-server/storage',
  'operator/backup',
  'operator/cluster',
  'test/operator-simulation',
  'test/recovery',
  'test/simulation',
  'test/torture',
  'test/unit',
]

/**
 * Folders of many small tests that hardly wait, and leave the process that they run in as it was. They share one: a process of its own
 * would take most of them longer to start than to run, and would compile the same code once more.
 */
const SHARED = [
  'bench',
  'cli',
  'lib',
  'node-server/address',
  'node-server/api/admin',
  'node-server/api/etcd',
  'node-server/backup',
  'node-server/bolt',
  'node-server/config',
  'node-server/etcd-file',
  'node-server/http2',
  'node-server/mvcc',
  'node-server/node',
  'node-server/raft',
  'operator/api',
  'operator/cluster',
  'release',
  'sandbox/controllers',
  'sandbox/start',
  'test/history',
  'test/limits',
  'test/simulate',
  'test/unit',
]

/** Files of those that take long, or change the process that they run in. */
const APART = [
  'node-server/raft/simulation.test.ts',
  'operator/cluster/api-errors.test.ts',
  'operator/cluster/conditions.test.ts',
  'operator/cluster/operations.test.ts',
  'operator/cluster/releases.test.ts',
  'operator/cluster/restore.test.ts',
  'operator/cluster/tls-simulation.test.ts',
  'operator/cluster/tls-sources.test.ts',
  'operator/cluster/tls.test.ts',
  'test/unit/untracked-promises.test.ts',
]

const COMPILED = ['--import', './test/compile-cache.ts']
const TESTS = [...COMPILED, '--test', '--test-concurrency=2']
const UNTRACKED = ['--import', './test/untracked-promises.ts']
const SIMULATE = [...COMPILED, 'test/simulate/main.ts']

const files = globSync('{lib,node-server,operator,cli,release,sandbox,bench,test}/**/*.test.ts', { cwd: ROOT }).map(
  (file) => file.replaceAll('\\', '/'),
)
const isIn =
  (folders: readonly string[]) =>
  (file: string): boolean =>
    folders.some((folder) => file.startsWith(`${folder}/`))
const shared = files.filter((file) => isIn(SHARED)(file) && !APART.includes(file))
const computing = files.filter((file) => isIn(COMPUTING)(file) && !shared.includes(file))
const waiting = files.filter((file) => !computing.includes(file) && !shared.includes(file))

/** One after the other, as long as none fails. */
interface Lane {
  readonly name: string
  readonly commands: readonly (readonly string[])[]
  readonly priority: number
}

const LANES: readonly Lane[] = [
  {
    name: 'sockets, processes and timers',
    commands: [[...TESTS, ...waiting]],
    priority: constants.priority.PRIORITY_NORMAL,
  },
  {
    name: 'in one process',
    commands: [[...TESTS, '--test-isolation=none', ...shared]],
    priority: constants.priority.PRIORITY_BELOW_NORMAL,
  },
  {
    name: 'computing',
    commands: [
      [...UNTRACKED, ...TESTS, ...computing],
      [...SIMULATE, 'store', '--seeds', '200'],
      [...SIMULATE, 'operator', '--seeds', '500', '--first', '1000', '--for', '3m'],
    ],
    priority: constants.priority.PRIORITY_BELOW_NORMAL,
  },
]

/** Whether it ended well. Processes that it starts have its priority. */
function succeeds(args: readonly string[], priority: number): Promise<boolean> {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' })
  if (child.pid !== undefined && priority !== constants.priority.PRIORITY_NORMAL) setPriority(child.pid, priority)
  return new Promise((resolve, reject) => child.on('error', reject).on('close', (code) => resolve(code === 0)))
}

async function run({ name, commands, priority }: Lane): Promise<string> {
  const startedMs = performance.now()
  let isPassed = true
  for (const command of commands) isPassed &&= await succeeds(command, priority)
  if (!isPassed) process.exitCode = 1
  return `${name}: ${isPassed ? 'passed' : 'failed'} after ${((performance.now() - startedMs) / 1000).toFixed(0)} s`
}

console.log((await Promise.all(LANES.map(run))).join('\n'))
