/**
 * `npm run test:backup`: three members under load, backed up into a real S3 server again and again while the backup, a member
 * or the bucket is killed at random moments; then backups are fetched and restored, and each has exactly the writes that were
 * acknowledged up to its revision. `--programs DIR` names a folder with etcdctl and gofakes3 (built without it, which needs
 * Go), `--seconds N` how long it goes on, `--seed N` which moments. Exit codes: 0 all is as it should be, 1 it is not.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { seeded } from '../../node-server/raft/testing/random.ts'
import { ensureBackup } from '../e2e/machine/peers.ts'
import { attempt } from '../e2e/process.ts'
import { createReport } from '../e2e/report.ts'
import { Cluster } from '../limits/cluster.ts'
import { startStore } from '../migration/stores.ts'
import { Bucket } from './bucket.ts'
import { Writer } from './writer.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const MEMBER = [process.execPath, '--max-semi-space-size=32', join(ROOT, 'node-server', 'main.ts')]
const RESTORED = 3
const TAKE_LIMIT_MS = 60_000

const { values } = parseArgs({
  options: {
    programs: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
  },
})
const programs = values.programs ?? (await build())
const folder = mkdtempSync(join(tmpdir(), 'raftkv-backup-'))
const random = seeded(Number(values.seed))
const bucket = await Bucket.start(join(programs, 'gofakes3'), folder)
const cluster = await Cluster.start({ name: 'ours', command: MEMBER }, {})
const writer = new Writer(cluster)
let failures = 0
try {
  const taken = await backUpForAWhile()
  await writer.stop()
  const listed = await list()
  expect(`${taken.length} backups were told to be whole, and are listed: ${listed.length}`, isWithin(taken, listed))
  expect(`at least ${RESTORED} of them`, taken.length >= RESTORED)
  // The newest, and some before it.
  const chosen = new Set(taken.slice(-1))
  while (chosen.size < Math.min(RESTORED, taken.length)) chosen.add(random.pick(taken) ?? '')
  for (const [i, name] of [...chosen].entries()) await restore(name, `restored-${i}`)
} finally {
  await cluster.close()
  await bucket.stop()
  rmSync(folder, { recursive: true, force: true })
}
console.log(`${failures} failures`)
process.exitCode = failures === 0 ? 0 : 1

function expect(what: string, isSo: boolean): void {
  console.log(`${isSo ? 'ok     ' : 'FAILED '}${what}`)
  if (!isSo) failures += 1
}

/** The names of those that ended with 0. */
async function backUpForAWhile(): Promise<readonly string[]> {
  const endMs = performance.now() + Number(values.seconds) * 1000
  const taken: string[] = []
  let [attempts, disturbed] = [0, 0]
  const goesOn = (): boolean =>
    performance.now() < endMs || (taken.length < RESTORED && performance.now() < endMs + TAKE_LIMIT_MS)
  while (goesOn()) {
    attempts += 1
    const disturbance = random.below(4)
    const timeoutMs = disturbance === 0 ? 500 + random.below(3000) : TAKE_LIMIT_MS
    const disturbing = disturb(disturbance)
    const { code, stdout } = await backup(['take', `--endpoints=${endpoints()}`], timeoutMs)
    await disturbing
    if (code === 0) taken.push(stdout.split(' ')[0] ?? '')
    else disturbed += 1
  }
  console.log(
    `${attempts} attempts, ${taken.length} backups, ${disturbed} came to nothing, ${writer.acknowledged} writes acknowledged`,
  )
  return taken
}

/** 0: the backup itself is killed; 1: a member; 2: the bucket; 3: nothing. */
async function disturb(which: number): Promise<void> {
  await delay(random.below(2000))
  if (which === 1) {
    const member = cluster.members[random.below(cluster.members.length)]
    await member?.stop('SIGKILL')
    await delay(500)
    member?.start()
  }
  if (which === 2) await bucket.restart()
}

function endpoints(): string {
  return cluster.members.map(({ address }) => `http://${address}`).join()
}

function backup(args: readonly string[], timeoutMs = TAKE_LIMIT_MS): ReturnType<typeof attempt> {
  return attempt([...MEMBER, 'backup', ...args, ...bucket.flags], { env: bucket.environment, timeoutMs })
}

async function list(): Promise<readonly string[]> {
  const { stdout } = await backup(['list', '--json'])
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { readonly name: string }).name)
}

function isWithin(some: readonly string[], all: readonly string[]): boolean {
  return some.every((name) => all.includes(name))
}

async function restore(name: string, as: string): Promise<void> {
  const file = join(folder, `${as}.db`)
  const fetched = await backup(['fetch', name, `--output=${file}`])
  expect(`${name} is fetched ${fetched.stderr}`, fetched.code === 0)
  if (fetched.code !== 0) return
  const revision = Number(name.slice(name.lastIndexOf('-') + 1))
  const store = await startStore({ programs, folder }, 'raftkv', as, file)
  try {
    const wrong = await writer.compare(`127.0.0.1:${store.clientPort}`, revision)
    expect(
      `${name}: exactly the writes up to revision ${revision} are there${wrong === undefined ? '' : `: ${wrong}`}`,
      wrong === undefined,
    )
  } finally {
    await store.stop()
  }
}

function build(): Promise<string> {
  const cache = join(ROOT, '.cache', 'e2e')
  mkdirSync(cache, { recursive: true })
  return ensureBackup(createReport(console.log, Date.now), ROOT, cache)
}
