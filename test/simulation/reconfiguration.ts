/**
 * The cases of reconfiguration-cases.ts, each on a cluster of its own. Two things must hold: a change is taken exactly where
 * it is safe, and soon; and whatever was answered, the living go on if they are a quorum.
 */
import { unreachable } from '../../lib/assert.ts'
import { formatId, MemberId } from '../../lib/ids.ts'
import { PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { CLUSTER } from './cluster-id.ts'
import type { Life } from './life.ts'
import { ELECTION_MS } from './member-options.ts'
import type { SimulatedMember } from './member.ts'
import { outsideOfMicrotasks } from './microtasks.ts'
import { firstMembers } from './nemesis.ts'
import {
  FATES,
  everyCase,
  isLate,
  isMute,
  isSafe,
  livingOf,
  nameOf,
  quorumOf,
  type Case,
  type Change,
  type Fate,
} from './reconfiguration-cases.ts'
import { World } from './world.ts'

/** etcd's API counts connections that have stood for 5 s. */
const CONNECTED_MS = 5500
const LONG_MS = 2.5 * ELECTION_MS
const PROMPT_MS = 300
/** Two rounds of messages with it are prompt. */
const OVERTAKEN_MS = 50
/** Answers are waited for until an election timeout is over. */
const REFUSAL_MS = ELECTION_MS + PROMPT_MS
/** The target answers, and finds nobody to vote for it. */
const FAILED_TRANSFER_MS = 2 * ELECTION_MS + PROMPT_MS
const GOING_ON_MS = 12_000

/** What is wrong; undefined when all is well. */
function runCase(one: Case, seed: number): string | undefined {
  const stage = new Stage(one, seed)
  stage.prepare()
  return stage.ask() ?? stage.goesOn()
}

class Stage {
  readonly #case: Case
  readonly #world: World
  /** Of the voters but the leader. */
  readonly #members = new Map<SimulatedMember, Fate>()
  #leader: SimulatedMember | undefined
  #learner: SimulatedMember | undefined
  #learnerId = ''
  #wrong: string | undefined
  #isTaken = false

  constructor(one: Case, seed: number) {
    this.#case = one
    this.#world = new World({
      seed,
      snapshotCount: 1000,
      catchUpEntries: 1000,
      quotaBytes: -1,
      drift: 0,
      narrow: undefined,
    })
  }

  /** Up to the moment before the change is asked for. */
  prepare(): void {
    const { fates, change } = this.#case
    const world = this.#world
    const members = ['leader', ...fates].map((_, i) => world.addMember(`m${i + 1}`))
    const started = members.slice(0, members.length - fates.filter((fate) => fate === 'never started').length)
    for (const member of started) member.start(firstMembers(members, member, CLUSTER))
    this.#until(10_000, () => this.#leads(started))
    if (change.kind === 'promote') this.#addLearner()
    if (this.#case.api === 'etcd') world.run(CONNECTED_MS)
    const isElected = fates.includes('killed before the election')
    this.#cast(started, members.slice(started.length), isElected)
    this.#kill('killed long ago')
    if (fates.includes('killed long ago')) world.run(LONG_MS)
    if (isElected) this.#elect()
    const told = this.#status().peers.filter(({ isActive }) => isActive)
    for (const [member, fate] of this.#members) {
      const isCalledActive = told.some(({ id }) => id === this.#idOf(member))
      if (isCalledActive && !isLate(fate)) this.#wrong = `the status calls active who was ${fate}`
    }
    this.#kill('just killed')
    if (change.kind === 'promote' && change.learner === 'just killed') this.#learner?.crash(world.choose)
  }

  /** Who has which fate; with an election to come, the leader of now is the one who hands over. */
  #cast(started: readonly SimulatedMember[], others: readonly SimulatedMember[], isElected: boolean): void {
    const first = this.#leads(started)
    const fates = this.#case.fates.toSorted((a, b) => FATES.indexOf(a) - FATES.indexOf(b)) // late ones first
    const rest = started.filter((member) => member !== first)
    this.#leader = isElected ? rest.shift() : first
    const inOrder = [...(isElected && first !== undefined ? [first] : []), ...rest, ...others]
    for (const [i, member] of inOrder.entries()) this.#members.set(member, fates[i] ?? 'alive')
  }

  #kill(fate: Fate): void {
    for (const [member, its] of this.#members) if (its === fate) member.crash(this.#world.choose)
  }

  /** Those who are dead by then are dead before it, and have been heard from by the leader before. */
  #elect(): void {
    const [from] = this.#members.keys()
    this.#kill('killed before the election')
    const to = MemberId(BigInt(`0x${this.#idOf(this.#leader)}`))
    from?.life?.clock.enter(() => from.life?.lifecycle.running?.replica.beginTransfer(to))
    this.#until(
      ELECTION_MS / 2,
      () =>
        (this.#leads(this.#world.members) === this.#leader && this.#knowsLearner(this.#leader?.life?.lifecycle)) ||
        undefined,
    )
  }

  /** A new leader learns how far a learner is by its first answer; until then none is promoted. */
  #knowsLearner(leader: Life['lifecycle'] | undefined): boolean {
    if (this.#learner === undefined) return true
    const { lastIndex, peers = [] } = leader?.running?.replica.raftStatus() ?? {}
    return peers.some(({ id, match }) => formatId(id) === this.#learnerId && match === lastIndex)
  }

  /** Undefined when the answer is as it should be. */
  ask(): string | undefined {
    if (this.#wrong !== undefined) return this.#wrong
    const world = this.#world
    const startMs = world.schedule.now
    if (this.#case.isOvertaking) world.faults.overtakenMs = OVERTAKEN_MS
    let answer: { readonly isTaken: boolean; readonly text: string } | undefined
    this.#leader?.life?.clock.enter(() => {
      void this.#request().then(
        (given) => (answer = { isTaken: given.ok, text: given.ok ? 'taken' : JSON.stringify(given.error) }),
        (error: unknown) => world.fail(error),
      )
    })
    const given = this.#until(20_000, () => answer)
    const tookMs = world.schedule.now - startMs
    const isSafeNow = isSafe(this.#case)
    this.#isTaken = given.isTaken
    if (given.isTaken !== isSafeNow) return `${isSafeNow ? 'safe' : 'not safe'}, but: ${given.text}`
    const { change } = this.#case
    const isBegun = change.kind === 'transfer' && change.whom === 'alive'
    const limitMs = given.isTaken ? PROMPT_MS : isBegun ? FAILED_TRANSFER_MS : REFUSAL_MS
    return tookMs <= limitMs || isMute(this.#case) ? undefined : `answered after ${tookMs} ms: ${given.text}`
  }

  /** After the answer, those who live must be able to write, if they are a quorum of what the voters are then. */
  goesOn(): string | undefined {
    const { fates, change, api } = this.#case
    const living = livingOf(fates)
    if (living < quorumOf(fates.length + 1)) return undefined
    // The second of a single voter is needed from the first moment on: etcd lets it be added all the same.
    const isSecond = fates.length === 0 && change.kind === 'add' && !change.isLearner && api === 'etcd'
    if (isSecond) return undefined
    const done = { isWritten: false }
    const write = (): void => {
      for (const member of this.#world.members) {
        const { life } = member
        life?.clock.enter(() => {
          const put = PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from('a') })).finish()
          void life.port?.propose('put', put).then(({ ok }) => (done.isWritten ||= ok))
        })
      }
      if (!done.isWritten) this.#world.after(500, write)
    }
    write()
    const endMs = this.#world.schedule.now + GOING_ON_MS
    while (!done.isWritten && this.#world.schedule.now < endMs) this.#world.run(50)
    return done.isWritten ? undefined : `the cluster is lost after it was ${this.#isTaken ? 'taken' : 'refused'}`
  }

  #request(): Promise<{ readonly ok: true } | { readonly ok: false; readonly error: unknown }> {
    const { api, change } = this.#case
    const life = this.#leader?.life
    const port = life?.port
    if (life === undefined || port === undefined) throw new Error('the leader does not serve')
    const fence = { operationId: 'change', expectedConfigIndex: this.#status().configIndex }
    const newcomer = { name: 'new', peerURLs: ['http://new:2380'] }
    const hex = change.kind === 'add' ? '' : this.#idOf(this.#target(change))
    const memberId = MemberId(BigInt(`0x0${hex}`))
    switch (change.kind) {
      case 'add':
        return api === 'etcd'
          ? port.changeMember({ ...change, peerURLs: newcomer.peerURLs })
          : life.lifecycle.changeMembership({ kind: 'add-learner', ...fence, member: newcomer })
      case 'promote':
      case 'remove':
        return api === 'etcd'
          ? port.changeMember({ kind: change.kind, memberId })
          : life.lifecycle.changeMembership({ kind: change.kind, ...fence, memberId: hex })
      case 'transfer':
        return api === 'etcd' ? port.moveLeader(memberId) : life.lifecycle.transferLeader({ ...fence, memberId: hex })
      default:
        return unreachable(change)
    }
  }

  #target(change: Exclude<Change, { kind: 'add' }>): SimulatedMember | undefined {
    if (change.kind === 'promote') return this.#learner
    if (change.whom === 'leader') return this.#leader
    return [...this.#members].find(([, fate]) => fate === change.whom)?.[0]
  }

  #addLearner(): void {
    const world = this.#world
    const learner = world.addMember('learner')
    const { lifecycle } = this.#leads(world.members)?.life ?? {}
    if (lifecycle === undefined) throw new Error('there is no leader')
    this.#learner = learner
    const fence = { operationId: 'learner', expectedConfigIndex: lifecycle.status().configIndex }
    const member = { name: learner.name, peerURLs: [learner.peerURL] }
    learner.start()
    world.begin(async () => {
      const added = await lifecycle.changeMembership({ kind: 'add-learner', ...fence, member })
      if (!added.ok) throw new Error(added.error.message)
      const { members } = lifecycle.status()
      const { clusterId, memberId, configIndex } = added.value
      this.#learnerId = memberId
      await learner.life?.lifecycle.join({
        operationId: 'join',
        clusterId,
        memberId,
        expectedConfigIndex: configIndex,
        members,
      })
    })
    this.#until(5000, () => (this.#learnerId !== '' && this.#knowsLearner(lifecycle)) || undefined)
  }

  #leads(members: readonly SimulatedMember[]): SimulatedMember | undefined {
    return members.find(
      ({ isLeader, life }) => isLeader && life?.lifecycle.running?.replica.raftStatus().isChangePending === false,
    )
  }

  #status(): ReturnType<NonNullable<SimulatedMember['life']>['lifecycle']['status']> {
    const status = this.#leader?.life?.lifecycle.status()
    if (status?.role !== 'leader') throw new Error('the leader was lost before anything was asked')
    return status
  }

  /** Also of one that does not run. */
  #idOf(member: SimulatedMember | undefined): string {
    const known = this.#world.members
      .flatMap(({ life }) => life?.lifecycle.status().members ?? [])
      .find(({ peerURLs }) => member !== undefined && peerURLs.includes(member.peerURL))
    return known?.id ?? formatId(0n)
  }

  #until<Value>(withinMs: number, look: () => Value | undefined): Value {
    const endMs = this.#world.schedule.now + withinMs
    for (;;) {
      const value = look()
      if (value !== undefined) return value
      if (this.#world.schedule.now >= endMs) throw new Error(`not within ${withinMs} ms: ${String(look)}`)
      this.#world.run(1)
    }
  }
}

/** Runs all of them until one goes wrong, whose name and fault it gives. */
export async function findWrong(): Promise<{ readonly tried: number; readonly wrong: string | undefined }> {
  let tried = 0
  for (const one of everyCase()) {
    tried += 1
    const wrong = await outsideOfMicrotasks(() => runCase(one, tried)).catch(String)
    if (wrong !== undefined) return { tried, wrong: `${nameOf(one)}: ${wrong}` }
  }
  return { tried, wrong: undefined }
}
