/**
 * Changes the members while everything else happens, by the contract of the admin API and as the operator would: one change
 * at a time, fenced by the configuration it was decided on, repeated under one operation ID until its outcome is known.
 */
import type { AdminChange, AdminError, AdminStatus, MembershipRequest } from '../../lib/admin-api.ts'
import type { Result } from '../../lib/result.ts'
import type { AdminPort } from '../../node-server/node/lifecycle/admin-port.ts'
import { MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import type { SimulatedMember } from './member.ts'
import { demand } from './oracle.ts'
import type { World } from './world.ts'

const MAX_MEMBERS = 7
const RETRY_MS = 250
const MAX_TRIES = 60
const PROMOTE_TRIES = 40
/** Refused for good: the same request will not be carried out later. */
const DECIDED: ReadonlySet<AdminError['code']> = new Set(['ConfigIndexStale', 'QuorumAtRisk', 'NotFound', 'Conflict'])

/** Undefined: no answer came. */
type Answer = Result<AdminChange, AdminError> | undefined

export class Administrator {
  readonly #world: World
  readonly #name: string
  #operations = 0
  /** The first result of each operation that had one. */
  readonly #results = new Map<string, AdminChange>()
  isBusy = false

  constructor(world: World, name: string) {
    this.#world = world
    this.#name = name
  }

  /** One change, or none when there is nobody to ask. */
  async change(): Promise<void> {
    if (this.isBusy) return
    this.isBusy = true
    try {
      const { random } = this.#world
      const status = this.#status()
      if (status === undefined) return
      const spare = this.#spare(status)
      const voters = status.voters.length
      if (random.chance(0.15)) return await this.#stale(status)
      if (random.chance(0.2)) return await this.#repeat()
      if (status.learners[0] !== undefined) await this.#remove(status.learners[0])
      else if (spare !== undefined && (voters < 3 || random.chance(0.5))) await this.#add(spare)
      else if (voters > 1) await this.#remove(random.pick(status.voters) ?? '')
    } finally {
      this.isBusy = false
    }
  }

  /** Two who decided on the same configuration ask at the same time, for the same removal: at most one carries it out. */
  async rivals(): Promise<void> {
    if (this.isBusy) return
    this.isBusy = true
    try {
      const status = this.#status()
      const memberId = this.#world.random.pick(status?.voters ?? [])
      if (status === undefined || memberId === undefined || status.voters.length < 3) return
      this.#world.coverage.note('two changes asked for at once')
      const ask = (): Promise<Answer> =>
        this.#repeated({
          kind: 'remove',
          operationId: this.#operationId(),
          expectedConfigIndex: status.configIndex,
          memberId,
        })
      const done = (await Promise.all([ask(), ask()])).filter((answer) => answer?.ok === true)
      demand(done.length < 2, '12: two changes were carried out that were decided on the same configuration')
      const isGone = this.#status()?.members.every(({ id }) => id !== memberId) ?? false
      if (done.length > 0 || isGone) this.#left(memberId, status)
    } finally {
      this.isBusy = false
    }
  }

  /** The member's data is gone or of no use: it is removed and comes back with an empty volume. */
  async replace(member: SimulatedMember): Promise<boolean> {
    if (this.isBusy) return false
    this.isBusy = true
    try {
      const status = this.#status()
      if (status === undefined) return false
      const known = status.members.find(({ peerURLs }) => peerURLs.includes(member.peerURL))
      if (known !== undefined && !(await this.#remove(known.id))) return false
      if (!(await this.#add(member))) return false
      this.#world.coverage.note('member replaced by one with an empty volume')
      return true
    } finally {
      this.isBusy = false
    }
  }

  /** Removes a learner that was left over from an addition that did not end. */
  async tidy(): Promise<void> {
    const status = this.#status()
    const learner = status?.learners[0]
    if (this.isBusy || learner === undefined) return
    this.isBusy = true
    await this.#remove(learner).finally(() => (this.isBusy = false))
  }

  async transfer(): Promise<void> {
    const status = this.#status()
    const port = this.#port()
    const target = this.#world.random.pick(status?.voters ?? [])
    if (status === undefined || port === undefined || target === undefined) return
    this.#world.log.add(this.#name, `asks ${target} to lead`)
    await within(this.#world, 6000, (settle) => {
      port
        .transferLeader({
          operationId: this.#operationId(),
          expectedConfigIndex: status.configIndex,
          memberId: target,
        })
        .then(settle, (error: unknown) => this.#world.fail(error))
    })
  }

  /** A decision on a configuration that is no longer in force must change nothing. */
  async #stale(status: AdminStatus): Promise<void> {
    if (status.configIndex <= 1) return
    const memberId = this.#world.random.pick(status.voters) ?? ''
    const answer = await this.#ask({
      kind: 'remove',
      operationId: this.#operationId(),
      expectedConfigIndex: status.configIndex - 1,
      memberId,
    })
    demand(answer?.ok !== true, '12: a decision on an old configuration was carried out')
    if (answer?.error.code === 'ConfigIndexStale') this.#world.coverage.note('change refused: stale configuration')
  }

  async #repeat(): Promise<void> {
    const known = this.#world.random.pick([...this.#results])
    if (known === undefined) return
    const [operationId, first] = known
    const answer = await this.#ask({ kind: 'remove', operationId, expectedConfigIndex: 0, memberId: first.memberId })
    if (answer === undefined || !answer.ok) {
      const code = answer?.error.code ?? 'Timeout'
      const isForgotten = code === 'ConfigIndexStale' || code === 'NotFound'
      return demand(!isForgotten, `12: the repeat of ${operationId} was not recognised: ${code}`)
    }
    this.#world.coverage.note('repeat of an operation answered with its first result')
    const isFirst = answer.value.memberId === first.memberId && answer.value.configIndex === first.configIndex
    demand(isFirst, `12: the repeat of ${operationId} had another result`)
  }

  async #add(member: SimulatedMember): Promise<boolean> {
    const world = this.#world
    if (member.life !== undefined) member.crash(world.choose)
    member.disk = new MemoryDisk()
    member.isDamaged = false
    member.state = { kind: 'down' }
    member.isInUse = true
    const added = await this.#until((status) => ({
      kind: 'add-learner',
      operationId: '',
      expectedConfigIndex: status.configIndex,
      member: { name: member.name, peerURLs: [member.peerURL] },
    }))
    if (added === undefined) return false
    world.coverage.note('member added as a learner')
    world.log.add(this.#name, `added ${member.name} as ${added.memberId}`)
    if (!(await this.#join(member, added))) return false
    return this.#promote(added)
  }

  async #join(member: SimulatedMember, added: AdminChange): Promise<boolean> {
    const world = this.#world
    for (let i = 0; i < MAX_TRIES; i++) {
      member.start()
      if (member.life?.port !== undefined) return true // it was told before it crashed
      const lifecycle = member.life?.isWaiting === true ? member.life.lifecycle : undefined
      const status = this.#status()
      if (status !== undefined && !status.members.some(({ id }) => id === added.memberId) && i > 20) return false
      if (lifecycle !== undefined && status !== undefined && status.members.some(({ id }) => id === added.memberId)) {
        const joined = await within<Result<AdminChange, AdminError>>(world, 3000, (settle) => {
          member.life?.clock.after(0, () => {
            lifecycle
              .join({
                operationId: this.#operationId(),
                clusterId: added.clusterId,
                memberId: added.memberId,
                expectedConfigIndex: added.configIndex,
                members: status.members,
              })
              .then(settle, (error: unknown) => world.fail(error))
          })
        })
        if (joined?.ok === true) return true
      }
      await world.sleep(RETRY_MS)
    }
    return false
  }

  async #promote(added: AdminChange): Promise<boolean> {
    const world = this.#world
    for (let i = 0; i < PROMOTE_TRIES; i++) {
      const promoted = await this.#until((status) => ({
        kind: 'promote',
        operationId: '',
        expectedConfigIndex: status.configIndex,
        memberId: added.memberId,
      }))
      if (promoted !== undefined) {
        world.coverage.note('learner promoted')
        return true
      }
      await world.sleep(RETRY_MS)
    }
    world.log.add(this.#name, `gives the learner ${added.memberId} up`)
    await this.#remove(added.memberId)
    return false
  }

  async #remove(memberId: string): Promise<boolean> {
    const world = this.#world
    let decidedOn: AdminStatus | undefined
    const removed = await this.#until((status) => {
      if (!status.members.some(({ id }) => id === memberId)) return undefined
      decidedOn = status
      return { kind: 'remove', operationId: '', expectedConfigIndex: status.configIndex, memberId }
    })
    if (removed === undefined) return false
    if (decidedOn?.leader === memberId) world.coverage.note('leader removed')
    this.#left(memberId, decidedOn)
    return true
  }

  #left(memberId: string, before: AdminStatus | undefined): void {
    const world = this.#world
    const peerURL = before?.members.find(({ id }) => id === memberId)?.peerURLs[0]
    const machine = world.members.find((member) => member.peerURL === peerURL)
    if (machine !== undefined) machine.isInUse = false
    world.coverage.note('member removed')
    world.log.add(this.#name, `removed ${memberId}`)
  }

  /** Under its operation ID until the outcome is known; undefined when it never was. */
  async #repeated(request: MembershipRequest): Promise<Answer> {
    for (let i = 0; i < MAX_TRIES; i++) {
      const answer = await this.#ask(request)
      if (answer?.ok === true) return answer
      const code = answer?.error.code
      if (code === 'ChangeInFlight') this.#world.coverage.note('change refused: another in flight')
      if (code !== undefined && DECIDED.has(code)) return answer
      await this.#world.sleep(RETRY_MS)
    }
    return undefined
  }

  /** Decides again on each configuration, and repeats what it has decided until it has an answer. */
  async #until(decide: (status: AdminStatus) => MembershipRequest | undefined): Promise<AdminChange | undefined> {
    const world = this.#world
    let request: MembershipRequest | undefined
    for (let i = 0; i < MAX_TRIES; i++) {
      const status = this.#status()
      if (request === undefined && status !== undefined) {
        const decided = decide(status)
        if (decided === undefined) return undefined
        request = { ...decided, operationId: this.#operationId() }
      }
      const answer = request === undefined ? undefined : await this.#ask(request)
      if (answer?.ok === true) {
        this.#results.set(answer.value.operationId, answer.value)
        return answer.value
      }
      const code = answer?.error.code
      if (code === 'ConfigIndexStale') request = undefined
      if (code === 'QuorumAtRisk') world.coverage.note('change refused: quorum at risk')
      if (code === 'ChangeInFlight') world.coverage.note('change refused: another in flight')
      if (code === 'NotFound' || code === 'BadRequest' || code === 'Conflict') return undefined
      if (code === 'LearnerLagging') return undefined
      if (code === 'QuorumAtRisk' && i > 20) return undefined
      await world.sleep(RETRY_MS)
    }
    return undefined
  }

  #ask(request: MembershipRequest): Promise<Answer> {
    const port = this.#port()
    if (port === undefined) return Promise.resolve(undefined)
    return within(this.#world, 8000, (settle) => {
      port.changeMembership(request).then(settle, (error: unknown) => this.#world.fail(error))
    })
  }

  #operationId(): string {
    this.#operations += 1
    return `${this.#name}-${this.#operations}`
  }

  /** Of some member that runs, the leader's when it can be had. */
  #status(): AdminStatus | undefined {
    const all = this.#running().map(({ lifecycle }) => lifecycle.status())
    return all.toSorted((a, b) => b.configIndex - a.configIndex)[0]
  }

  #port(): AdminPort | undefined {
    return this.#world.random.pick(this.#running())?.lifecycle
  }

  #running(): { readonly lifecycle: AdminPort }[] {
    return this.#world.members.flatMap(({ life }) => (life?.port === undefined || life.clock.isPaused ? [] : [life]))
  }

  /** A machine that is in no cluster. */
  #spare(status: AdminStatus): SimulatedMember | undefined {
    if (status.members.length >= MAX_MEMBERS || status.learners.length > 0) return undefined
    const free = this.#world.members.find(({ isInUse }) => !isInUse)
    if (free !== undefined) return free
    return this.#world.addMember(`m${this.#world.members.length + 1}`)
  }
}

/** Undefined when nothing came in that time: the process may be gone. */
function within<Value>(
  world: World,
  timeoutMs: number,
  begin: (settle: (value: Value) => void) => void,
): Promise<Value | undefined> {
  return new Promise((resolve) => {
    world.after(timeoutMs, () => resolve(undefined))
    begin((value) => world.after(0.5, () => resolve(value)))
  })
}
