/**
 * `npm run test:backup`: three members under load, backed up into a real S3 server again and again, with all changes between two
 * backups, while the backup, who keeps the changes, a member or the bucket is killed at random moments; then backups are
 * fetched and restored, and the cluster as it was at three random revisions and at last: each has exactly the writes that were
 * acknowledged up to its revision. `--programs DIR` names a folder with etcdctl and gofakes3 (built without it, which needs
 * Go), `--seconds N` how long it goes on, `--seed N` which moments, `--interval N` how long changes wait
 * until they are kept. Exit codes: 0 all is as it should be, 1 it is not.
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
import { ChangeKeeper } from './change-keeper.ts'
import { Writer } from './writer.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const MEMBER = [process.execPath, '--max-semi-space-size=32', join(ROOT, 'node-server', 'main.ts')]
const RESTORED = 3
const TAKE_LIMIT_MS = 60_000
/** After the last write, until it is kept. */
const KEEP_LIMIT_MS = 60_000

const { values } = parseArgs({
  options: {
    programs: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    interval: { type: 'string', default: '10' },
  },
})
const programs = values.programs ?? (await build())
const folder = mkdtempSync(join(tmpdir(), 'raftkv-backup-'))
const random = seeded(Number(values.seed))
const bucket = await Bucket.start(join(programs, 'gofakes3'), folder)
const cluster = await Cluster.start({ name: 'ours', command: MEMBER }, {})
const writer = new Writer(cluster)
const keeper = new ChangeKeeper(
  [...MEMBER, 'backup', 'follow', `--endpoints=${endpoints()}`, `--interval=${values.interval}`, ...bucket.flags],
  bucket.environment,
)
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
  await restoreMoments()
} finally {
  await keeper.stop()
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
    const disturbance = random.below(5)
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

/** 0: the backup itself is killed; 1: a member; 2: the bucket; 3: who keeps the changes; 4: nothing. */
async function disturb(which: number): Promise<void> {
  await delay(random.below(2000))
  if (which === 1) {
    const member = cluster.members[random.below(cluster.members.length)]
    await member?.stop('SIGKILL')
    await delay(500)
    member?.start()
  }
  if (which === 2) await bucket.restart()
  if (which === 3) await keeper.restart()
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

function revisionIn(name: string): number {
  return Number(name.slice(name.lastIndexOf('-') + 1))
}

function isWithin(some: readonly string[], all: readonly string[]): boolean {
  return some.every((name) => all.includes(name))
}

async function restore(name: string, as: string): Promise<void> {
  const file = join(folder, `${as}.db`)
  const fetched = await backup(['fetch', name, `--output=${file}`])
  expect(`${name} is fetched ${fetched.stderr}`, fetched.code === 0)
  if (fetched.code !== 0) return
  const revision = revisionIn(name)
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

/** Three random ones between the first backup and the last write, and the last. */
async function restoreMoments(): Promise<void> {
  const last = writer.revision
  expect(`all up to revision ${last} is kept ${keeper.words}`, await keeper.reaches(last, KEEP_LIMIT_MS))
  const { median, most } = keeper.ages()
  console.log(`what could be restored was ${median} ms old (median), ${most} at most; ${keeper.gaps} gaps`)
  expect('there was no gap', keeper.gaps === 0)
  const first = Math.min(...(await list()).map(revisionIn))
  for (let i = 0; i <= RESTORED; i++)
    await restoreMoment(i === RESTORED ? last : first + random.below(last - first), `moment-${i}`)
}

async function restoreMoment(revision: number, as: string): Promise<void> {
  const startMs = performance.now()
  const store = await startStore({ programs, folder }, 'raftkv', as, async ({ name, directory, peerURL }) => {
    const member = [`--data-dir=${directory}`, `--name=${name}`, `--initial-advertise-peer-urls=${peerURL}`]
    const made = await backup(['restore', 'newest', `--revision=${revision}`, '--cluster-id=abc', ...member])
    expect(`the first member is made as of revision ${revision} ${made.stderr}`, made.code === 0)
  })
  console.log(`serving after ${Math.round(performance.now() - startMs)} ms`)
  try {
    const wrong = await writer.compare(`127.0.0.1:${store.clientPort}`, revision)
    expect(
      `exactly the writes up to revision ${revision} are there${wrong === undefined ? '' : `: ${wrong}`}`,
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
