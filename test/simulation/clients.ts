/** Clients of the etcd API: each does one thing after the other, on whichever member it finds, and notes what it saw. */
import { KeyValue } from '../../node-server/proto/generated/etcd/kv.ts'
import {
  Compare_CompareResult as CompareResult,
  Compare_CompareTarget as CompareTarget,
  CompactionRequest,
  DeleteRangeRequest,
  LeaseGrantRequest,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseRevokeRequest,
  LeaseTimeToLiveRequest,
  PutRequest,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  type Compare,
  type RequestOp,
  type ResponseHeader,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import {
  deleteRequest,
  opDelete,
  opPut,
  opRange,
  putRequest,
  rangeRequest,
  txnRequest,
} from '../../node-server/mvcc/testing/requests.ts'
import { call, openStream } from './calls.ts'
import type { SimulatedMember } from './member.ts'
import { PATHS, type CallRecord, type MethodName, type Reply } from './recording.ts'
import type { World } from './world.ts'

const KEYS = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5'] as const
export const FIRST_KEY = 'k'
export const END_KEY = 'l'
const OVERSIZED_BYTES = 20 * 1024
const KEEPALIVE_TIMEOUT_MS = 5000
const BURST = 16
const BURST_VALUE_BYTES = 400

export class SimulatedClient {
  readonly #world: World
  readonly #number: number
  readonly #records: CallRecord[]
  #values = 0
  #known = { key: 'k0', modRevision: 0n }
  #leases: bigint[] = []
  #revision = 0n
  #isOver = false

  constructor(world: World, number: number, records: CallRecord[]) {
    this.#world = world
    this.#number = number
    this.#records = records
  }

  end(): void {
    this.#isOver = true
  }

  async run(pauseMs: number): Promise<void> {
    const { random } = this.#world
    while (!this.#isOver) {
      await this.#world.sleep(random.next() * 2 * pauseMs)
      const member = random.pick(this.#world.members)
      if (member !== undefined && !this.#isOver) await this.#one(member)
    }
  }

  async #one(member: SimulatedMember): Promise<void> {
    const roll = this.#world.random.below(100)
    if (roll < 30) await this.put(member)
    else if (roll < 50) await this.#read(member, false)
    else if (roll < 58) await this.#read(member, true)
    else if (roll < 62) await this.#readBefore(member)
    else if (roll < 70) await this.#delete(member)
    else if (roll < 86) await this.#compareAndSwap(member)
    else if (roll < 91) await this.#grant(member)
    else if (roll < 93) await this.#revoke(member)
    else if (roll < 97) await this.#renew(member)
    else if (roll < 99) await this.#compact(member)
    else if (this.#world.options.narrow === undefined) await this.#oversized(member)
    else await this.#burst(member)
  }

  /** Whether it was acknowledged. */
  async put(member: SimulatedMember): Promise<boolean> {
    const { random } = this.#world
    const lease = random.chance(0.2) ? (random.pick(this.#leases) ?? 0n) : 0n
    const request = putRequest(this.#key(), this.#value(), { lease, prevKv: random.chance(0.5) })
    const told = await this.#call('put', member, PutRequest.encode(request).finish())
    return told?.kind === 'answer'
  }

  async #read(member: SimulatedMember, serializable: boolean): Promise<void> {
    const { random, coverage } = this.#world
    const [key, rangeEnd] = random.chance(0.3) ? [FIRST_KEY, END_KEY] : [this.#key(), '']
    const isFollower = !member.isLeader
    const bytes = RangeRequest.encode(rangeRequest(key, rangeEnd, { serializable })).finish()
    const told = await this.#call('range', member, bytes)
    if (told?.kind !== 'answer') return
    if (serializable) coverage.note('serializable read')
    else if (isFollower) coverage.note('linearizable read on a follower')
    const { header, kvs } = RangeResponse.decode(told.bytes)
    this.#revision = revisionOf(header) ?? this.#revision
    const [found] = kvs
    if (found === undefined) return
    const known = KeyValue.decode(found)
    this.#known = { key: known.key.toString('latin1'), modRevision: known.modRevision }
  }

  async readAll(member: SimulatedMember): Promise<boolean> {
    const told = await this.#call('range', member, RangeRequest.encode(rangeRequest(FIRST_KEY, END_KEY)).finish())
    return told?.kind === 'answer'
  }

  async #readBefore(member: SimulatedMember): Promise<void> {
    const back = BigInt(this.#world.random.below(60))
    const revision = this.#revision > back ? this.#revision - back : 1n
    const bytes = RangeRequest.encode(rangeRequest(FIRST_KEY, END_KEY, { revision })).finish()
    const told = await this.#call('range', member, bytes)
    if (told?.kind === 'status' && told.status.message.includes('has been compacted'))
      this.#world.coverage.note('read refused as compacted')
  }

  async #delete(member: SimulatedMember): Promise<void> {
    const { random } = this.#world
    const [key, rangeEnd] = random.chance(0.2) ? ['k1', END_KEY] : [this.#key(), '']
    const request = deleteRequest(key, rangeEnd, random.chance(0.5))
    await this.#call('delete', member, DeleteRangeRequest.encode(request).finish())
  }

  /** Of what was read last. */
  async #compareAndSwap(member: SimulatedMember): Promise<void> {
    const { random, coverage } = this.#world
    const { key, modRevision } = this.#known
    const compare: Compare = {
      result: CompareResult.EQUAL,
      target: CompareTarget.MOD,
      key: Buffer.from(key),
      targetUnion: { $case: 'modRevision', value: modRevision },
      rangeEnd: Buffer.alloc(0),
    }
    const other = KEYS.find((name) => name !== key) ?? key
    const success = random.chance(0.7)
      ? [opPut(key, this.#value()), opPut(other, this.#value(), { prevKv: true })]
      : [opDelete(key, '', true), this.#rangeInTxn()]
    const bytes = TxnRequest.encode(txnRequest(success, [opRange(key)], [compare])).finish()
    const told = await this.#call('txn', member, bytes)
    if (told?.kind === 'status' && told.status.message.includes('has been compacted'))
      coverage.note('txn refused as compacted')
    if (told?.kind !== 'answer') return
    const { header, succeeded } = TxnResponse.decode(told.bytes)
    coverage.note(succeeded ? 'txn that succeeds' : 'txn that fails')
    this.#revision = revisionOf(header) ?? this.#revision
    if (succeeded) this.#known = { key, modRevision: this.#revision }
  }

  /** Of what is there now, or was. */
  #rangeInTxn(): RequestOp {
    const { random, coverage } = this.#world
    const back = BigInt(random.below(60))
    if (random.chance(0.4) || this.#revision <= back) return opRange(FIRST_KEY, END_KEY)
    coverage.note('range of the past in a txn')
    return opRange(FIRST_KEY, END_KEY, { revision: this.#revision - back })
  }

  async #grant(member: SimulatedMember): Promise<void> {
    this.#values += 1
    const ID = BigInt(this.#number * 1_000_000 + this.#values)
    const TTL = BigInt(2 + this.#world.random.below(8))
    const told = await this.#call('grant', member, LeaseGrantRequest.encode({ ID, TTL }).finish())
    if (told?.kind === 'answer') this.#leases = [...this.#leases.slice(-3), ID]
  }

  async #revoke(member: SimulatedMember): Promise<void> {
    const ID = this.#leases.shift()
    if (ID === undefined) return
    const told = await this.#call('revoke', member, LeaseRevokeRequest.encode({ ID }).finish())
    if (told?.kind === 'answer') this.#world.coverage.note('lease revoked')
  }

  async #renew(member: SimulatedMember): Promise<void> {
    const world = this.#world
    const ID = world.random.pick(this.#leases)
    if (ID === undefined) return
    const isFollower = !member.isLeader
    await new Promise<void>((resolve) => {
      const onResponse = (bytes: Uint8Array): void => {
        if (LeaseKeepAliveResponse.decode(bytes).TTL > 0n) {
          world.coverage.note('lease renewed')
          if (isFollower) world.coverage.note('lease renewed through a follower')
        }
        stream?.cancel()
        resolve()
      }
      const events = { onResponse, onEnd: () => resolve() }
      const stream = openStream(world, member, '/etcdserverpb.Lease/LeaseKeepAlive', events, () => 0)
      if (stream === undefined) return resolve()
      stream.send(LeaseKeepAliveRequest.encode({ ID }).finish())
      world.after(KEEPALIVE_TIMEOUT_MS, resolve)
    })
    await this.#call('timeToLive', member, LeaseTimeToLiveRequest.encode({ ID, keys: true }).finish())
  }

  async #compact(member: SimulatedMember): Promise<void> {
    if (this.#revision < 20n) return
    const request = { revision: this.#revision - BigInt(this.#world.random.below(20)), physical: false }
    const told = await this.#call('compact', member, CompactionRequest.encode(request).finish())
    if (told?.kind === 'answer') this.#world.coverage.note('compaction')
  }

  /** More at once than there is room for between two members. */
  async #burst(member: SimulatedMember): Promise<void> {
    const puts = Array.from({ length: BURST }, () => putRequest(this.#key(), this.#value().padEnd(BURST_VALUE_BYTES)))
    const told = await Promise.all(puts.map((put) => this.#call('put', member, PutRequest.encode(put).finish())))
    const areAnswered = told.every((one) => one?.kind === 'answer')
    if (areAnswered && !member.isLeader) this.#world.coverage.note('proposals wait for room on the way to the leader')
  }

  async #oversized(member: SimulatedMember): Promise<void> {
    const request = putRequest(this.#key(), 'x'.repeat(OVERSIZED_BYTES))
    const told = await this.#call('put', member, PutRequest.encode(request).finish())
    if (told?.kind === 'status' && told.status.message.includes('too large'))
      this.#world.coverage.note('oversized request')
  }

  /** Undefined when nobody was there: nothing happened, nothing is noted. */
  async #call(method: MethodName, member: SimulatedMember, request: Uint8Array): Promise<Reply | undefined> {
    const world = this.#world
    const callMs = world.schedule.now
    const told = await call(world, member, PATHS[method], request)
    if (told.kind === 'refused') return undefined
    if (told.kind === 'lost' || told.kind === 'status') this.#noteFailure(told, method)
    const returnMs = world.schedule.now
    this.#records.push({ method, client: this.#number, member: member.name, callMs, returnMs, request, told })
    return told
  }

  #noteFailure(told: Reply, method: MethodName): void {
    const { coverage } = this.#world
    const isUnknown = told.kind === 'lost' || (told.kind === 'status' && told.status.code === 'Unavailable')
    if (isUnknown && method !== 'range' && method !== 'timeToLive') coverage.note('write whose outcome is unknown')
    if (told.kind === 'status' && told.status.message.includes('space exceeded')) coverage.note('NOSPACE alarm')
  }

  #key(): string {
    return this.#world.random.pick(KEYS) ?? 'k0'
  }

  #value(): string {
    this.#values += 1
    return `${this.#number}.${this.#values}`
  }
}

function revisionOf(header: ResponseHeader | undefined): bigint | undefined {
  return header?.revision
}
