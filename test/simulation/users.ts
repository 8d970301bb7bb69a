/**
 * Users ask for what they may at one moment and may not at the next, through whichever member they find, while members crash, leaders
 * change and stores are replaced. Every change of users or roles stands in the log between two puts of root, so that the order of
 * revisions says which writes came before it and which after (reliability: auth is checked at the applied revision):
 *
 * - What was asked for before a change is not carried out after it, whether it would be allowed then or not.
 * - While a user may not, nothing of it is carried out, and nothing is shown to it; while it may, it is not told that it may not.
 *
 * That members decide alike is compared as in every world: their revisions and states after each batch.
 */
import { Permission_Type } from '../../node-server/proto/generated/etcd/auth.ts'
import { KeyValue } from '../../node-server/proto/generated/etcd/kv.ts'
import {
  AuthRoleAddRequest,
  AuthRoleGrantPermissionRequest,
  AuthRoleRevokePermissionRequest,
  AuthUserAddRequest,
  AuthUserDeleteRequest,
  AuthUserGrantRoleRequest,
  AuthUserRevokeRoleRequest,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import { opPut, opRange, opTxn, putRequest, rangeRequest, txnRequest } from '../../node-server/mvcc/testing/requests.ts'
import { call, MAX_LATENCY_MS, type CallOutcome } from './calls.ts'
import { CLUSTER } from './cluster-id.ts'
import type { SimulatedMember } from './member.ts'
import { findFirst, type Found } from './find-first.ts'
import { firstMembers } from './nemesis.ts'
import { World } from './world.ts'

const USERS = ['u', 'v'] as const
type User = (typeof USERS)[number]
const CLIENTS_EACH = 3
const PAUSE_MS = 20
const BETWEEN_CHANGES_MS = 60
const RETRY_MS = 20
const FAULTS_MS = 15_000
const FAULT_EVERY_MS = 800
const DOWN_MS = 700
const CLOGGED_MS = 500
/** What is under way comes to its end. */
const SETTLING_MS = 15_000
/** Fewer of each say that the world is not what it should be. */
const FEWEST = 20

/** How a user is kept out and let in again; each by one change of the log. */
const WAYS = ['permission', 'role', 'user'] as const

/** Between two changes: from the answer to one on until the next is asked for. */
interface Stretch {
  readonly mayDo: Readonly<Record<User, boolean>>
  readonly fromMs: number
  untilMs: number
  /** Of root's puts at its two ends. */
  readonly fromRevision: bigint
  untilRevision: bigint
}

interface Asked {
  readonly user: User
  readonly isWrite: boolean
  readonly key: string
  readonly sentMs: number
  readonly answeredMs: number
  readonly outcome: CallOutcome
}

const spanOf = (user: User): { readonly key: Buffer; readonly rangeEnd: Buffer } => ({
  key: Buffer.from(`${user}/`),
  rangeEnd: Buffer.from(`${user}0`),
})
const auth = (method: string): string => `/etcdserverpb.Auth/${method}`
/** What says that a change stands as it is asked for: a repeat of it found the first. */
const DONE = /already exists|not granted|not found|already enabled/

class Stage {
  readonly world: World
  readonly asked: Asked[] = []
  readonly stretches: Stretch[] = []
  #isFaulty = true
  #isOver = false
  #keys = 0
  /** Root asks others, so that users and roles change meanwhile. */
  #clogged: SimulatedMember | undefined

  constructor(seed: number) {
    const bounds = { snapshotCount: 40, catchUpEntries: 20, quotaBytes: -1, drift: 0, narrow: undefined }
    this.world = new World({ seed, ...bounds })
    const members = ['m1', 'm2', 'm3'].map((name) => this.world.addMember(name))
    for (const member of members) member.start(firstMembers(members, member, CLUSTER))
    this.world.run(3000)
    this.world.begin(() => this.#administer())
    this.world.begin(() => this.#disturb())
  }

  endFaults(): void {
    this.#isFaulty = false
    this.#isOver = true
  }

  #member(besides?: SimulatedMember): SimulatedMember {
    const member = this.world.random.pick(this.world.members.filter((each) => each !== besides))
    if (member === undefined) throw new Error('there are no members')
    return member
  }

  /** Until it is known to be done. */
  async #asRoot(path: string, request: Uint8Array): Promise<Uint8Array> {
    for (;;) {
      const outcome = await call(this.world, this.#member(this.#clogged), path, request, 'root')
      if (outcome.kind === 'answer') return outcome.bytes
      if (outcome.kind === 'status' && DONE.test(outcome.status.message)) return Buffer.alloc(0)
      await this.world.sleep(RETRY_MS)
    }
  }

  async #mark(): Promise<bigint> {
    const request = PutRequest.encode(putRequest('mark', String(this.stretches.length))).finish()
    return PutResponse.decode(await this.#asRoot('/etcdserverpb.KV/Put', request)).header?.revision ?? 0n
  }

  async #addUser(name: string): Promise<void> {
    const options = { noPassword: true }
    await this.#asRoot(
      auth('UserAdd'),
      AuthUserAddRequest.encode(AuthUserAddRequest.fromPartial({ name, options })).finish(),
    )
  }

  async #grantRole(user: string, role: string): Promise<void> {
    await this.#asRoot(auth('UserGrantRole'), AuthUserGrantRoleRequest.encode({ user, role }).finish())
  }

  async #grantPermission(user: User): Promise<void> {
    const perm = { permType: Permission_Type.READWRITE, ...spanOf(user) }
    const request = AuthRoleGrantPermissionRequest.encode({ name: user, perm }).finish()
    await this.#asRoot(auth('RoleGrantPermission'), request)
  }

  async #administer(): Promise<void> {
    await this.#addUser('root')
    await this.#grantRole('root', 'root')
    for (const user of USERS) {
      await this.#asRoot(auth('RoleAdd'), AuthRoleAddRequest.encode({ name: user }).finish())
      await this.#grantPermission(user)
      await this.#addUser(user)
      await this.#grantRole(user, user)
    }
    await this.#asRoot(auth('AuthEnable'), Buffer.alloc(0))
    for (const user of USERS) for (let i = 0; i < CLIENTS_EACH; i++) this.world.begin(() => this.#ask(user))
    let mayDo: Stretch['mayDo'] = { u: true, v: true }
    while (!this.#isOver) {
      const stretch = await this.#begin(mayDo)
      await this.world.sleep(this.world.random.next() * 2 * BETWEEN_CHANGES_MS)
      const user = this.world.random.pick(USERS) ?? 'u'
      await this.#end(stretch)
      if (mayDo[user]) await this.#takeAway(user)
      else await this.#giveBack(user)
      mayDo = { ...mayDo, [user]: !mayDo[user] }
    }
  }

  async #begin(mayDo: Stretch['mayDo']): Promise<Stretch> {
    const fromMs = this.world.schedule.now
    const revision = await this.#mark()
    const stretch = { mayDo, fromMs, untilMs: Infinity, fromRevision: revision, untilRevision: revision }
    this.stretches.push(stretch)
    return stretch
  }

  async #end(stretch: Stretch): Promise<void> {
    stretch.untilRevision = await this.#mark()
    stretch.untilMs = this.world.schedule.now
  }

  async #takeAway(user: User): Promise<void> {
    const way = this.world.random.pick(WAYS)
    if (way === 'user') await this.#asRoot(auth('UserDelete'), AuthUserDeleteRequest.encode({ name: user }).finish())
    else if (way === 'role')
      await this.#asRoot(auth('UserRevokeRole'), AuthUserRevokeRoleRequest.encode({ name: user, role: user }).finish())
    else {
      const request = AuthRoleRevokePermissionRequest.encode({ role: user, ...spanOf(user) }).finish()
      await this.#asRoot(auth('RoleRevokePermission'), request)
    }
  }

  /** Whatever was taken: what stands already is left as it is. */
  async #giveBack(user: User): Promise<void> {
    await this.#addUser(user)
    await this.#grantPermission(user)
    await this.#grantRole(user, user)
  }

  async #ask(user: User): Promise<void> {
    const { random, schedule } = this.world
    while (!this.#isOver) {
      await this.world.sleep(random.next() * 2 * PAUSE_MS)
      this.#keys += 1
      const key = `${user}/${this.#keys}`
      const [path, request] = this.#request(user, key)
      const sentMs = schedule.now
      const outcome = await call(this.world, this.#member(), path, request, user)
      this.asked.push({
        user,
        isWrite: !path.endsWith('Range'),
        key,
        sentMs,
        answeredMs: schedule.now,
        outcome,
      })
    }
  }

  /** Writes name a key of their own each. */
  #request(user: User, key: string): readonly [path: string, request: Uint8Array] {
    const { random } = this.world
    if (random.chance(0.4)) return ['/etcdserverpb.KV/Put', PutRequest.encode(putRequest(key, '')).finish()]
    if (random.chance(0.5)) {
      const inner = opTxn(txnRequest([opPut(key, '')]))
      const operations = random.chance(0.5) ? [inner] : [opRange(`${user}/`), inner]
      return ['/etcdserverpb.KV/Txn', TxnRequest.encode(txnRequest(operations)).finish()]
    }
    return ['/etcdserverpb.KV/Range', RangeRequest.encode(rangeRequest(`${user}/`, `${user}0`)).finish()]
  }

  async #disturb(): Promise<void> {
    const { random } = this.world
    while (this.#isFaulty) {
      await this.world.sleep(random.next() * 2 * FAULT_EVERY_MS)
      const [leader, other] = [this.world.members.find(({ isLeader }) => isLeader), this.#member()]
      if (leader === undefined) continue
      // What is handed on to the leader meanwhile arrives long after it was asked for.
      if (random.chance(0.5)) this.#clog(other, leader)
      else await this.#restart(random.chance(0.5) ? leader : other)
    }
  }

  #clog(from: SimulatedMember, to: SimulatedMember): void {
    const forMs = this.world.random.next() * 2 * CLOGGED_MS
    this.world.network.clog(from.name, to.name, forMs)
    this.#clogged = from
    this.world.after(forMs, () => (this.#clogged = undefined))
  }

  async #restart(member: SimulatedMember): Promise<void> {
    member.crash(this.world.choose)
    await this.world.sleep(this.world.random.next() * 2 * DOWN_MS)
    member.start()
  }

  /** Of all keys there are, when they were put. */
  async stored(): Promise<ReadonlyMap<string, bigint>> {
    const everything = RangeRequest.encode(rangeRequest('\0', '\0')).finish()
    const { kvs } = RangeResponse.decode(await this.#asRoot('/etcdserverpb.KV/Range', everything))
    const found = kvs.map((kv) => KeyValue.decode(kv))
    return new Map(found.map(({ key, createRevision }) => [key.toString('latin1'), createRevision]))
  }
}

/** Pure. */
function wrongWith(
  stretches: readonly Stretch[],
  asked: readonly Asked[],
  stored: ReadonlyMap<string, bigint>,
): string | undefined {
  const counts = { carriedOut: 0, denied: 0 }
  for (const one of asked) {
    const { user, isWrite, key, sentMs, answeredMs, outcome } = one
    const revision = isWrite ? stored.get(key) : undefined
    if (isWrite && outcome.kind === 'answer' && revision === undefined) return `${key} was acknowledged and is lost`
    const message = outcome.kind === 'status' ? outcome.status.message : ''
    if (revision !== undefined) counts.carriedOut += 1
    if (message.includes('permission denied')) counts.denied += 1
    for (const [i, { mayDo, fromMs, untilMs, fromRevision, untilRevision }] of stretches.entries()) {
      const isWithin = sentMs >= fromMs && answeredMs <= untilMs
      const isIn = revision !== undefined && revision > fromRevision && revision < untilRevision
      const isShown = isWithin && !isWrite && outcome.kind === 'answer'
      if (!mayDo[user] && (isIn || isShown)) return `${user} did what it may not: ${key}, at ${sentMs}`
      if (mayDo[user] && isWithin && message.includes('permission denied'))
        return `${user} was refused what it may: ${key}, at ${sentMs}: ${message}`
      if (isIn && isFromBefore(stretches.slice(0, i), sentMs))
        return `${key} was asked for at ${sentMs}, and carried out after users had changed`
    }
  }
  const rare = Object.entries(counts).filter(([, count]) => count < FEWEST)
  return rare.length === 0 ? undefined : `too little happened: ${JSON.stringify(counts)}`
}

/** It had reached its member before one of these ended, and who asks had been identified. */
function isFromBefore(earlier: readonly Stretch[], sentMs: number): boolean {
  return earlier.some(({ untilMs }) => sentMs + MAX_LATENCY_MS < untilMs)
}

function play(seed: number): string | undefined {
  const stage = new Stage(seed)
  stage.world.run(FAULTS_MS)
  stage.endFaults()
  stage.world.run(SETTLING_MS)
  let stored: ReadonlyMap<string, bigint> | undefined
  stage.world.begin(async () => {
    stored = await stage.stored()
  })
  stage.world.run(SETTLING_MS)
  return stored === undefined ? 'nobody answers at the end' : wrongWith(stage.stretches, stage.asked, stored)
}

/** Runs some seeds until one goes wrong. */
export const findWrong = (seeds: number): Promise<Found> => findFirst(seeds, play)
