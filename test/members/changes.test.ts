/** The change stream with members and tools as processes: a cluster is restored to any revision, and is then what it was. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { DeleteRangeRequest, RequestOp, TxnRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { decodeFollowStatus } from '../../lib/follow-status.ts'
import { seeded } from '../../node-server/raft/testing/random.ts'
import { PATIENCE_MS } from '../../lib/testing/until.ts'
import { freePort, Rig, type MemberProcess } from './member-process.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'node-server', 'main.ts')
const WRITES = 60
/** The second one is granted after the backup. */
const LEASES = [77n, 78n] as const
const LEASE_SECONDS = 3600

let rig: Rig
const followers: Follower[] = []
before(async () => {
  rig = await Rig.open()
})
after(async () => {
  for (const follower of followers) await follower.kill()
  await rig.close()
})

function run(...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, 'backup', ...args])
}

async function tool(...args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = run(...args)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

/** `backup follow` as a process. */
class Follower {
  readonly #child: ChildProcess
  #output = ''
  #wake: () => void = () => undefined

  constructor(member: MemberProcess, to: string, ...flags: readonly string[]) {
    this.#child = run('follow', `--endpoints=${member.clientURL}`, `--to=${to}`, '--interval=1', ...flags)
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString('utf8')
        this.#wake()
      })
    followers.push(this)
  }

  /** It has told that everything up to the revision is kept. */
  async kept(revision: number): Promise<void> {
    const overdue = AbortSignal.timeout(PATIENCE_MS)
    const isKept = (): boolean =>
      [...this.#output.matchAll(/kept up to revision (\d+)/g)].some(([, kept]) => Number(kept) >= revision)
    while (!isKept()) {
      assert.ok(!overdue.aborted, `revision ${revision} is not kept:\n${this.#output}`)
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), once(overdue, 'abort')])
    }
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode
    const closed = once(this.#child, 'close')
    this.#child.kill(signal)
    const [code] = (await closed) as [number | null]
    return code
  }
}

const bytes = (text: string): Buffer => Buffer.from(text)

/** A put and, in another inner txn, what deletes it again: one revision, as are the two keys that stay. */
function txn(i: number): Uint8Array {
  const put = (key: string): RequestOp =>
    operation({ $case: 'requestPut', value: { key: bytes(key), value: bytes(`${i}`) } })
  const removal = { key: bytes('hidden'), rangeEnd: bytes('hidden~') }
  const inner = (...success: readonly RequestOp[]): RequestOp =>
    operation({ $case: 'requestTxn', value: { success: [...success] } })
  const removed = operation({ $case: 'requestDeleteRange', value: removal })
  const success = [put(`both ${i}`), inner(put(`hidden ${i}`)), inner(removed), put(`also ${i}`)]
  return TxnRequest.encode(TxnRequest.fromPartial({ success })).finish()
}

function operation(request: Parameters<typeof RequestOp.fromPartial>[0]['request']): RequestOp {
  return RequestOp.fromPartial({ request })
}

async function write(member: MemberProcess, count: number, random: ReturnType<typeof seeded>): Promise<void> {
  for (let i = 0; i < count; i++) {
    const key = `key ${random.below(12)}`
    const what = random.below(5)
    if (what === 0) await member.etcd.callBytes('/etcdserverpb.KV/Txn', txn(i))
    else if (what === 1) {
      const request = { key: bytes('key 1'), rangeEnd: bytes('key 2'), prevKv: false }
      await member.etcd.callBytes('/etcdserverpb.KV/DeleteRange', DeleteRangeRequest.encode(request).finish())
    } else await member.etcd.put(key, `value ${i}`, what === 2 ? LEASES[random.below(2)] : 0n)
  }
}

async function revisionOf(member: MemberProcess): Promise<number> {
  return Number(await member.etcd.put('last', ''))
}

test('a cluster is restored to any revision between two backups and after the last one, whoever was killed meanwhile', async () => {
  const random = seeded(1)
  const member = await rig.member('source')
  await member.start([])
  await member.isReady()
  await member.etcd.grantLease(LEASES[0], LEASE_SECONDS)
  const folder = join(rig.directory, 'backups')
  await mkdir(folder)
  const to = `file://${folder}`
  await member.etcd.put('early', '', LEASES[0])
  const first = await revisionOf(member)
  const follower = new Follower(member, to)
  await follower.kept(first)
  await member.etcd.grantLease(LEASES[1], LEASE_SECONDS)
  await member.etcd.put('late', '', LEASES[1])
  await write(member, WRITES, random)
  await follower.kill()
  await write(member, WRITES, random)
  const port = await freePort()
  const again = new Follower(member, to, `--status-port=${port}`)
  await write(member, WRITES, random)
  const last = await revisionOf(member)
  await again.kept(last)
  const answer = await fetch(`http://127.0.0.1:${port}/status`)
  const status = decodeFollowStatus(await answer.text())
  assert.equal(answer.headers.get('content-type'), 'application/json')
  assert.deepEqual(
    [status?.place, status?.kept?.revision, status?.gap, status?.failure],
    [to, last, undefined, undefined],
  )
  assert.match(status?.lastSegment?.name ?? '', new RegExp(`^changes/.*-0*${last}-.*\\.seg$`))
  assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404)
  const revisions = [first, first + 2 + random.below(last - first - 2), last]
  const hashes = await Promise.all(revisions.map((revision) => member.etcd.hashKV(BigInt(revision), PATIENCE_MS)))
  assert.equal(await again.kill('SIGTERM'), 0)
  for (const [i, revision] of revisions.entries()) {
    const restored = await rig.member(`restored${i}`)
    const place = [`--data-dir=${restored.dataDirectory}`, `--name=${restored.name}`, '--cluster-id=abc', `--to=${to}`]
    const urls = `--initial-advertise-peer-urls=${restored.peerURL}`
    const made = await tool('restore', 'newest', ...place, urls, `--revision=${revision}`)
    assert.equal(made.code, 0, made.output)
    await restored.start([])
    await restored.isReady()
    const found = await restored.etcd.hashKV(BigInt(revision), PATIENCE_MS)
    const { hash, compactRevision } = hashes[i] ?? {}
    assert.deepEqual([found.hash, found.compactRevision], [hash, compactRevision], `revision ${revision}`)
    assert.equal(Number(found.header?.revision), revision)
    const secondsLeft = await Promise.all(LEASES.map((lease) => restored.etcd.leaseSecondsLeft(lease)))
    assert.deepEqual(
      secondsLeft.map((left) => left > LEASE_SECONDS / 2),
      [true, revision > first],
    )
    await restored.kill('SIGTERM')
  }
})
