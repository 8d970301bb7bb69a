/**
 * Members in one process, one of whose files is damaged while it is down: not as a disk would, which the store or the WAL would
 * see, but in a value, so that only a comparison of members can tell.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { ClusterId, MemberId } from '../../lib/ids.ts'
import { systemClock } from '../../lib/system-clock.ts'
import type { Member } from '../../node-server/mvcc/command.ts'
import { APPLY_SLICE, FLOW, LEASES } from '../../node-server/limits.ts'
import { UNOBSERVED } from '../../node-server/node/observer.ts'
import { Lifecycle } from '../../node-server/node/lifecycle/lifecycle.ts'
import { DEFAULT_MAINTENANCE, type MaintenanceOptions } from '../../node-server/node/options.ts'
import type { NodePort } from '../../node-server/node/ports.ts'
import { PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { readIdentity } from '../../node-server/storage/data-directory.ts'
import { realVolume } from '../../node-server/storage/volume.ts'
import { Transport } from '../../node-server/transport/transport.ts'
import { eventually, freePort } from './member-process.ts'

const CLUSTER = ClusterId(0x1cn)
const OFTEN_MS = 100
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }

class InProcessMember {
  readonly id: MemberId
  readonly directory: string
  readonly peerURL: string
  port: NodePort | undefined
  #lifecycle: Lifecycle | undefined

  constructor(id: MemberId, directory: string, peerPort: number) {
    this.id = id
    this.directory = directory
    this.peerURL = `http://127.0.0.1:${peerPort}`
  }

  get record(): Member {
    return { id: this.id, name: `m${this.id}`, peerURLs: [this.peerURL], clientURLs: [], isLearner: false }
  }

  get running(): NodePort {
    assert.ok(this.port !== undefined)
    return this.port
  }

  /** Undefined, or why it does not start. */
  async start(members: readonly Member[], maintenance: Partial<MaintenanceOptions>): Promise<string | undefined> {
    const { name } = this.record
    const lifecycle = new Lifecycle({
      volume: realVolume,
      dataDirectory: this.directory,
      peerURLs: [this.peerURL],
      connect: ({ clusterId, memberId }, handlers) => {
        const self = { clusterId, memberId, clock: systemClock }
        return Transport.listen({ listenUrls: [this.peerURL], ...self }, handlers)
      },
      version: '0',
      etcdVersion: '0',
      node: {
        name,
        clientURLs: [],
        heartbeatMs: 50,
        electionMs: 500,
        snapshotCount: 10_000,
        catchUpEntries: 5000,
        maxLearners: 1,
        isReconfigStrict: true,
        slowApplyMs: 100,
        quotaBytes: 0,
        maintenance: { ...DEFAULT_MAINTENANCE, ...maintenance },
        maxRequestBytes: 1.5 * 1024 * 1024,
        flow: FLOW,
        leases: LEASES,
        applySlice: APPLY_SLICE,
        clock: systemClock,
        observer: UNOBSERVED,
        log: quiet,
        random: Math.random,
      },
      onFatal: (error) => assert.fail(String(error)),
      onRunning: (port) => void (this.port = port),
      onAdmitted: async () => undefined,
      onRemoved: () => assert.fail('removed'),
    })
    this.#lifecycle = lifecycle
    const identity = await readIdentity(realVolume.disk, this.directory)
    assert.ok(identity.ok)
    const started =
      identity.value === undefined
        ? await lifecycle.start({
            kind: 'bootstrap',
            clusterId: CLUSTER,
            memberId: this.id,
            name,
            members,
            operationId: '',
          })
        : await lifecycle.run(identity.value)
    return started.ok ? undefined : started.error
  }

  async stop(): Promise<void> {
    await this.#lifecycle?.stop()
    this.#lifecycle = undefined
    this.port = undefined
  }

  /** Another byte in the newest stored value. */
  async damage(): Promise<void> {
    const folder = join(this.directory, 'member', 'db')
    const [name = ''] = await readdir(folder)
    const backend = await realVolume.stores.open(join(folder, name))
    const [newest] = [...backend.scan('revisions', Buffer.of(0), undefined, { isReverse: true, limit: 1 })]
    assert.ok(newest !== undefined)
    const value = Buffer.from(newest.value)
    value.writeUInt8(value.readUInt8(value.length - 1) ^ 1, value.length - 1)
    await backend.commit([{ table: 'revisions', key: newest.key, value }])
    await backend.close()
  }
}

let folder: string | undefined
let members: InProcessMember[] = []
afterEach(async () => {
  await Promise.all(members.map((member) => member.stop()))
  members = []
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

async function cluster(maintenance: Partial<MaintenanceOptions>): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), 'raftkv-corruption-'))
  for (const id of [1n, 2n, 3n])
    members.push(new InProcessMember(MemberId(id), join(folder, `m${id}`), await freePort()))
  const records = members.map(({ record }) => record)
  const started = await Promise.all(members.map((member) => member.start(records, maintenance)))
  assert.deepEqual(started, [undefined, undefined, undefined])
}

async function put(member: InProcessMember, key: string): Promise<string> {
  const request = PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from(key), value: Buffer.from('v') })).finish()
  const answer = await member.running.propose('put', request)
  return !answer.ok ? answer.error : answer.value.ok ? 'done' : answer.value.error.kind
}

/** Not the leader, so that it is clear who is in the minority. */
async function follower(): Promise<InProcessMember> {
  return eventually('there is a leader', async () => {
    const [member] = members
    assert.ok(member !== undefined)
    const { leader } = member.running.status()
    const other = members.find(({ id }) => id !== leader)
    assert.ok(leader !== 0n && other !== undefined)
    return other
  })
}

async function damageOne(
  maintenance: Partial<MaintenanceOptions>,
): Promise<{ odd: InProcessMember; refusal: string | undefined }> {
  await eventually('a write', async () => assert.equal(await put(await follower(), 'a'), 'done'))
  await put(await follower(), 'b')
  const odd = await follower()
  await eventually('it is everywhere', async () => {
    for (const { running } of members) assert.equal(running.store.revision, members[0]?.running.store.revision)
  })
  await odd.stop()
  await odd.damage()
  return { odd, refusal: await odd.start([], maintenance) }
}

test('the periodic check raises CORRUPT for the member whose data differs, and nothing is changed from then on', async () => {
  const often = { corruptCheckMs: OFTEN_MS }
  await cluster(often)
  const { odd, refusal } = await damageOne(often)
  assert.equal(refusal, undefined)
  for (const member of members) {
    await eventually('the alarm', async () =>
      assert.deepEqual([...member.running.store.alarms.corrupt], [odd.id], `of ${odd.id}`),
    )
    assert.equal(await put(member, 'c'), 'corrupt')
  }
})

test('a restarted member that differs does not serve clients when it is to check at the start', async () => {
  await cluster({})
  const { odd, refusal } = await damageOne({ checksAtStart: true })
  assert.match(refusal ?? 'it serves', /found data inconsistency with peers/)
  assert.equal(odd.port, undefined)
})

test('members that agree go through all checks without an alarm, compactions between them too', async () => {
  const checks = {
    corruptCheckMs: OFTEN_MS,
    compactHashCheckMs: OFTEN_MS,
    autoCompaction: { mode: 'periodic', retentionMs: 300 },
  } as const
  await cluster(checks)
  const first = await follower()
  for (let i = 0; i < 60; i++) assert.equal(await put(first, `k${i % 5}`), 'done')
  await eventually('a compaction', async () => assert.ok(first.running.store.compactedRevision > 1))
  await first.stop()
  assert.equal(await first.start([], { ...checks, checksAtStart: true }), undefined)
  await eventually('a write', async () => assert.equal(await put(first, 'k0'), 'done'))
  for (let i = 0; i < 40; i++) assert.equal(await put(first, `k${i % 5}`), 'done')
  for (const { running } of members) assert.equal(running.store.alarms.corrupt.size, 0)
})

test('the check of compactions raises CORRUPT for the one outside the majority', async () => {
  const checks = { compactHashCheckMs: OFTEN_MS, autoCompaction: { mode: 'periodic', retentionMs: 500 } } as const
  await cluster(checks)
  const { odd, refusal } = await damageOne(checks)
  assert.equal(refusal, undefined)
  for (let i = 0; i < 400 && odd.running.store.alarms.corrupt.size === 0; i++) await put(odd, 'later')
  for (const { running } of members)
    await eventually('the alarm', async () => assert.deepEqual([...running.store.alarms.corrupt], [odd.id]))
})
