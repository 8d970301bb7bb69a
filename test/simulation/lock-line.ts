/**
 * Clients take turns with one lock, each through whichever member it finds, while members crash, leaders change, old revisions
 * go and stores are replaced. Never do two hold it; and when the faults are over it goes from hand to hand without a pause.
 */
import { LockRequest, LockResponse, UnlockRequest } from '../../node-server/proto/generated/etcd/lock.ts'
import {
  CompactionRequest,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseRevokeRequest,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import { call, type CallOutcome } from './calls.ts'
import { CLUSTER } from './cluster-id.ts'
import type { SimulatedMember } from './member.ts'
import { findFirst, type Found } from './find-first.ts'
import { firstMembers } from './nemesis.ts'
import { World } from './world.ts'

const CLIENTS = 8
/** Longer than a client waits and holds: no lease ends while its lock is held. */
const TTL_SECONDS = 30n
const MAX_HOLD_MS = 60
const RETRY_MS = 50

const FAULTS_MS = 20_000
const FAULT_EVERY_MS = 1500
const DOWN_MS = 700
/** What was lost with a member is given up meanwhile. */
const SETTLING_MS = 10_000
const QUIET_MS = 5000
/** A turn takes 30 ms and a few round trips; a client that is not woken waits for 8 s. */
const FEWEST_TURNS = 60

class Stage {
  readonly world: World
  turns = 0
  #holder: number | undefined
  #revision = 0n
  #isFaulty = true

  constructor(seed: number) {
    const bounds = { snapshotCount: 40, catchUpEntries: 20, quotaBytes: -1, drift: 0, narrow: undefined }
    this.world = new World({ seed, ...bounds })
    const members = ['m1', 'm2', 'm3'].map((name) => this.world.addMember(name))
    for (const member of members) member.start(firstMembers(members, member, CLUSTER))
    this.world.run(3000)
    for (let client = 0; client < CLIENTS; client++) this.world.begin(() => this.#takeTurns(client))
    this.world.begin(() => this.#disturb())
  }

  endFaults(): void {
    this.#isFaulty = false
  }

  async #call(path: string, request: Uint8Array): Promise<CallOutcome> {
    const member = this.world.random.pick(this.world.members)
    return member === undefined ? { kind: 'refused' } : call(this.world, member, path, request)
  }

  async #takeTurns(client: number): Promise<void> {
    for (;;) {
      await this.world.sleep(this.world.random.next() * RETRY_MS)
      const granting = LeaseGrantRequest.encode({ ID: 0n, TTL: TTL_SECONDS }).finish()
      const granted = await this.#call('/etcdserverpb.Lease/LeaseGrant', granting)
      if (granted.kind !== 'answer') continue
      const { ID } = LeaseGrantResponse.decode(granted.bytes)
      const locking = LockRequest.encode({ name: Buffer.from('l'), lease: ID }).finish()
      const locked = await this.#call('/v3lockpb.Lock/Lock', locking)
      if (locked.kind === 'answer') await this.#hold(client, LockResponse.decode(locked.bytes))
      await this.#giveUp(ID)
    }
  }

  async #hold(client: number, { key, header }: LockResponse): Promise<void> {
    if (this.#holder !== undefined) throw new Error(`${client} has the lock that ${this.#holder} holds`)
    this.#holder = client
    this.turns += 1
    this.#revision = header?.revision ?? 0n
    await this.world.sleep(this.world.random.next() * MAX_HOLD_MS)
    this.#holder = undefined
    await this.#call('/v3lockpb.Lock/Unlock', UnlockRequest.encode({ key }).finish())
  }

  /** The key of a call without an answer may stand in the line. */
  async #giveUp(ID: bigint): Promise<void> {
    const request = LeaseRevokeRequest.encode({ ID }).finish()
    for (;;) {
      const revoked = await this.#call('/etcdserverpb.Lease/LeaseRevoke', request)
      if (revoked.kind === 'answer' || (revoked.kind === 'status' && revoked.status.code === 'NotFound')) return
      await this.world.sleep(RETRY_MS)
    }
  }

  async #disturb(): Promise<void> {
    const { random } = this.world
    for (;;) {
      await this.world.sleep(random.next() * 2 * FAULT_EVERY_MS)
      const request = CompactionRequest.encode({ revision: this.#revision, physical: false }).finish()
      await this.#call('/etcdserverpb.KV/Compact', request)
      if (!this.#isFaulty) continue
      const leader = this.world.members.find(({ isLeader }) => isLeader)
      const member = random.chance(0.5) ? leader : random.pick(this.world.members)
      if (member !== undefined) await this.#restart(member)
    }
  }

  async #restart(member: SimulatedMember): Promise<void> {
    member.crash(this.world.choose)
    await this.world.sleep(this.world.random.next() * 2 * DOWN_MS)
    member.start()
  }
}

function wrongWith(seed: number): string | undefined {
  const stage = new Stage(seed)
  stage.world.run(FAULTS_MS)
  stage.endFaults()
  stage.world.run(SETTLING_MS)
  const before = stage.turns
  stage.world.run(QUIET_MS)
  const turns = stage.turns - before
  return turns < FEWEST_TURNS ? `${turns} turns in ${QUIET_MS / 1000} s` : undefined
}

/** Runs some seeds until one goes wrong. */
export const findWrong = (seeds: number): Promise<Found> => findFirst(seeds, wrongWith)
