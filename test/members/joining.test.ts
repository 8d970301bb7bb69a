/**
 * What a member answers before it has what the cluster has: nothing. Its client port is asked all the time, from its start
 * on; each answer must be that there is nobody, or right.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { status as Code, type ServiceError } from '@grpc/grpc-js'
import { ADMIN_PATHS } from '../../lib/admin-api.ts'
import { formatId } from '../../lib/ids.ts'
import { KeyValue } from '../../node-server/proto/generated/etcd/kv.ts'
import {
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  StatusRequest,
  StatusResponse,
  WatchCreateRequest,
  WatchRequest,
  WatchResponse,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import { add, eventually, freePort, Rig, type Cluster, type MemberProcess } from './member-process.ts'

const KEYS = 2000
const BATCH = 200
const EVERYTHING = { key: Buffer.of(0), rangeEnd: Buffer.of(0) }
/** Of each kind, while the others stand still. */
const EARLY_ROUNDS = 20
const CALL_TIMEOUT_MS = 1000
const FOR_LEARNERS = /rpc not supported for learner/

let rig: Rig
let cluster: Cluster
let first: MemberProcess

before(async () => {
  rig = await Rig.open()
  cluster = await rig.cluster(['m0', 'm1', 'm2'])
  const [member] = cluster.members
  assert.ok(member !== undefined)
  first = member
  for (let written = 0; written < KEYS; written += BATCH)
    await Promise.all(Array.from({ length: BATCH }, (_, i) => first.etcd.put(`key/${written + i}`, 'v'.repeat(200))))
})
after(() => rig.close())

/** Asks one member everything, and notes what it should not have said. */
class Questioner {
  readonly #wrong = new Set<string>()
  readonly #member: MemberProcess
  /** What was committed when the member was told to join. */
  readonly #revision: bigint
  readonly #isLearner: boolean
  readonly #watches: { cancel(): void }[] = []
  #rounds = 0

  constructor(member: MemberProcess, revision: bigint, isLearner: boolean) {
    this.#member = member
    this.#revision = revision
    this.#isLearner = isLearner
  }

  /** Whether each question was answered, rightly or not. */
  async round(): Promise<boolean> {
    this.#rounds += 1
    const answered = await Promise.all([this.#get(), this.#put(), this.#status(), this.#watch()])
    return answered.every(Boolean)
  }

  get wrong(): readonly string[] {
    return [...this.#wrong]
  }

  end(): void {
    for (const watch of this.#watches) watch.cancel()
  }

  async #get(): Promise<boolean> {
    const request = RangeRequest.fromPartial({ ...EVERYTHING, serializable: true, countOnly: true })
    const bytes = await this.#call('/etcdserverpb.KV/Range', RangeRequest.encode(request).finish())
    if (!Buffer.isBuffer(bytes)) return this.#isRefused(bytes, 'a serializable get')
    const { header, count } = RangeResponse.decode(bytes)
    this.#knows(header?.revision, 'a get')
    if (count < BigInt(KEYS)) this.#wrong.add(`a get says that there are ${count} keys`)
    return true
  }

  async #put(): Promise<boolean> {
    const request = PutRequest.fromPartial({ key: Buffer.from('other'), value: Buffer.from(String(this.#rounds)) })
    const bytes = await this.#call('/etcdserverpb.KV/Put', PutRequest.encode(request).finish())
    if (!Buffer.isBuffer(bytes)) return this.#isRefused(bytes, 'a put')
    if (this.#isLearner) this.#wrong.add('a learner takes a put')
    this.#knows(PutResponse.decode(bytes).header?.revision, 'a put')
    return true
  }

  async #status(): Promise<boolean> {
    const bytes = await this.#call('/etcdserverpb.Maintenance/Status', StatusRequest.encode({}).finish())
    if (!Buffer.isBuffer(bytes)) return this.#isRefused(bytes, 'a status')
    const { header, isLearner } = StatusResponse.decode(bytes)
    this.#knows(header?.revision, 'a status')
    if (isLearner !== this.#isLearner) this.#wrong.add(`a status says isLearner: ${isLearner}`)
    return true
  }

  /** Resolves with its first answer; what comes later is looked at as well. */
  #watch(): Promise<boolean> {
    const stream = this.#member.etcd.openWatch()
    this.#watches.push(stream)
    const value = WatchCreateRequest.fromPartial(EVERYTHING)
    stream.write(Buffer.from(WatchRequest.encode({ requestUnion: { $case: 'createRequest', value } }).finish()))
    return new Promise((resolve) => {
      stream.on('error', (error: ServiceError) => resolve(this.#isRefused(error, 'a watch')))
      stream.on('data', (bytes: Buffer) => {
        const { created, header, events } = WatchResponse.decode(bytes)
        if (created) this.#knows(header?.revision, 'a new watch')
        const revisions = events.map(({ kv }) => KeyValue.decode(kv ?? Buffer.alloc(0)).modRevision)
        const old = revisions.filter((revision) => revision <= this.#revision)
        if (old.length > 0) this.#wrong.add(`a watch from now on tells ${old.length} events of the past`)
        resolve(true)
      })
    })
  }

  #call(path: string, request: Uint8Array): Promise<Buffer | ServiceError> {
    return this.#member.etcd.callBytes(path, request, CALL_TIMEOUT_MS).catch((error: unknown) => error as ServiceError)
  }

  #knows(revision: bigint | undefined, what: string): void {
    if ((revision ?? 0n) < this.#revision) this.#wrong.add(`${what} is answered at revision ${revision}`)
  }

  /** Whether it was the refusal of a learner, which is an answer. */
  #isRefused({ code, details }: ServiceError, what: string): boolean {
    const isOfLearner = this.#isLearner && code === Code.FAILED_PRECONDITION && FOR_LEARNERS.test(details)
    const isNobody = code === Code.UNAVAILABLE || code === Code.DEADLINE_EXCEEDED || code === Code.CANCELLED
    if (!isOfLearner && !isNobody) this.#wrong.add(`${what} is refused: ${code} ${details}`)
    return isOfLearner
  }
}

async function joinUnderQuestions(name: string, isLearner: boolean): Promise<MemberProcess> {
  const joiner = await rig.member(name)
  const metricsURL = `http://127.0.0.1:${await freePort()}`
  await joiner.start(['--initial-cluster-state=wait', `--listen-metrics-urls=${metricsURL}`])
  const memberId = formatId(await add(first, joiner, isLearner))
  const revision = await first.etcd.put('added', name)
  const { clusterId, members, configIndex } = await first.status()
  const questioner = new Questioner(joiner, revision, isLearner)
  try {
    for (const one of cluster.members) await one.kill('SIGSTOP')
    const join = { operationId: `join ${name}`, clusterId, memberId, expectedConfigIndex: configIndex, members }
    const { code, body } = await joiner.post(ADMIN_PATHS.join, join)
    assert.equal(code, 200, JSON.stringify(body))
    // Nobody can tell it anything yet.
    for (let i = 0; i < EARLY_ROUNDS; i++) await questioner.round()
    assert.deepEqual(questioner.wrong, [])
    // How it is can be asked all the time, elsewhere.
    const reason = 'waiting for the first snapshot from the leader'
    for (const url of [joiner.adminURL('/readyz'), `${metricsURL}/readyz`]) {
      const ready = await fetch(url)
      assert.deepEqual([ready.status, await ready.text()], [503, `${reason}\n`])
    }
    const health = await fetch(`${metricsURL}/health`)
    assert.deepEqual([health.status, await health.json()], [503, { health: 'false', reason }])
    for (const one of cluster.members) await one.kill('SIGCONT')
    await eventually('everything is answered', async () => assert.ok(await questioner.round()))
    assert.deepEqual(questioner.wrong, [])
  } finally {
    questioner.end()
    for (const one of cluster.members) await one.kill('SIGCONT')
  }
  return joiner
}

test('a learner that joins is not there for clients until it has caught up, and then says that it is a learner', async () => {
  const learner = await joinUnderQuestions('learner', true)
  assert.deepEqual(await learner.etcd.all('serializable'), await first.etcd.all())
  for (const [url, words] of [
    [learner.adminURL('/readyz'), /^a learner has no vote yet\n$/],
    [`${learner.clientURL}/readyz`, /\[-\]non_learner failed: not supported for learner/],
  ] as const) {
    const ready = await fetch(url)
    assert.equal(ready.status, 503)
    assert.match(await ready.text(), words)
  }
})

test('a voter that joins is not there for clients until it has caught up', async () => {
  const voter = await joinUnderQuestions('voter', false)
  await voter.isReady()
  assert.deepEqual(await voter.etcd.all('serializable'), await first.etcd.all())
})

test('a member that is started again without a quorum serves what it had: nothing of it is missing, and nothing new is taken', async () => {
  const { members, flags } = await rig.cluster(['r0', 'r1', 'r2'])
  const [survivor, other] = members
  assert.ok(survivor !== undefined && other !== undefined)
  let revision = 0n
  for (let i = 0; i < 50; i++) revision = await survivor.etcd.put(`key/${i}`, 'value')
  await eventually('it has all of it', async () => assert.equal(BigInt((await survivor.status()).revision), revision))
  await Promise.all(members.map((member) => member.kill('SIGTERM')))
  await survivor.start(flags)
  const all = await eventually('it serves', () => survivor.etcd.all('serializable'))
  assert.equal(all.size, 50)
  assert.match(survivor.output, /no leader answers/)
  await assert.rejects(survivor.etcd.put('key', 'value'), /context deadline exceeded/)
  const ready = await fetch(survivor.adminURL('/readyz'))
  assert.deepEqual([ready.status, await ready.text()], [503, 'no leader is known\n'])

  await other.start(flags)
  await Promise.all([survivor, other].map((member) => member.isReady()))
  assert.ok((await survivor.etcd.put('key', 'value')) > revision)
})
