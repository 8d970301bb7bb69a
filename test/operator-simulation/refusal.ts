/**
 * One kind of call that the API server refuses for a minute, always, while nothing else is wrong with it: by a quota, by a
 * webhook whose service is away, by a proxy. Pods and members fail meanwhile, and somebody edits.
 *
 * What must hold: the status says no longer than a moment what is not so, and names the refusal; members are looked after;
 * what is refused is not asked for without end.
 */
import { ApiError, errorOfStatus } from '../../operator/kube/api-error.ts'
import { type Call, describe } from '../../operator/kube/transport.ts'
import type { Path } from './api-paths.ts'
import { EDITS } from './edits.ts'
import { isJson, numberAt, valueAt } from './json.ts'
import { conditionOf } from './kubelet.ts'
import { STRIKES } from './strikes.ts'
import type { World } from './world.ts'

/** Method and kind; `GET` is of one object and of all. A pod template may be what is refused in a StatefulSet. */
const REFUSED = [
  ['PATCH', 'StatefulSet', 'template'],
  ['PATCH', 'StatefulSet'],
  ['PATCH', 'Service'],
  ['PATCH', 'ServiceAccount'],
  ['PATCH', 'PodDisruptionBudget'],
  ['PATCH', 'PersistentVolumeClaim'],
  ['DELETE', 'Pod'],
  ['DELETE', 'PersistentVolumeClaim'],
  ['GET', 'StatefulSet'],
  ['GET', 'Pod'],
  ['GET', 'PersistentVolumeClaim'],
  ['GET', 'Secret'],
  ['GET', 'Service'],
  ['GET', 'PodDisruptionBudget'],
] as const

/** Without them nothing can be decided. */
const ESSENTIAL = ['StatefulSet', 'Pod', 'PersistentVolumeClaim', 'Secret']
/** Without them nothing is known about members. */
const SIGHT = ['StatefulSet', 'Pod']

const WEBHOOK = 'Internal error occurred: failed calling webhook "policy.example.com": connection refused'
/** An HTTP status with or without words, or what is no answer. */
const ANSWERS = [403, 404, 409, 410, 422, 429, 500, 503, 504, 'webhook', 'timeout', 'reset', 'garbage'] as const
type AnswerKind = (typeof ANSWERS)[number]

const STRIKING_MS = 25_000
const AFTERWARDS_MS = 35_000
/** The operator looks every five seconds at least. */
const LIE_MS = 12_000
/** A look during which a call hangs takes ten seconds longer, and an edit meanwhile makes it look once more. */
const HANG_MS = 25_000
/** What cannot be read stays in the conditions for a while, and is tried again ever less often. */
const BLIND_LIE_MS = 45_000
/** Of one object in that minute: doubled delays from one second on, and again after each edit. */
const MAX_TRIES = 25

const STRUCK = ['pod deleted', 'pod evicted (Failed)', 'volume lost with its data', 'member crash', 'object of ours deleted by hand'] // prettier-ignore
const EDITED = ['spec: pod template', 'spec: volume size', 'annotation replace-member', 'annotation restartedAt']

export class Refusal {
  readonly what: string
  readonly #world: World
  readonly #method: string
  readonly #kind: string
  readonly #isOfTemplate: boolean
  readonly #answer: AnswerKind
  readonly #tries = new Map<string, number>()
  /** So long somebody has been there who could have acted. */
  #watchedMs = 0
  #lyingMs = 0
  #untoldMs = 0
  #isUntold = false

  constructor(world: World) {
    const { random } = world
    this.#world = world
    const [method, kind, part] = random.pick(REFUSED) ?? REFUSED[0]
    // "There is none" is an answer to who reads or deletes.
    const answers = method === 'PATCH' ? ANSWERS : ANSWERS.filter((answer) => answer !== 404)
    this.#method = method
    this.#kind = kind
    this.#isOfTemplate = part !== undefined
    this.#answer = random.pick(answers) ?? 500
    this.what = `${method} ${kind}${part === undefined ? '' : ` with a ${part}`}: ${this.#answer}`
  }

  /** What the call ends with; undefined: it is not refused. */
  errorOf(call: Call, { kind, name, subresource }: Path): ApiError | undefined {
    if (call.method !== this.#method || kind !== this.#kind || subresource !== '') return undefined
    if (this.#isOfTemplate && !isJson(valueAt(call.body, 'spec', 'template'))) return undefined
    const tries = (this.#tries.get(name) ?? 0) + 1
    this.#tries.set(name, tries)
    if (this.#method !== 'GET' && tries > MAX_TRIES)
      this.#world.fail(new Error(`invariant 17: ${this.what}: ${name} is asked for ${tries} times in a minute`))
    this.#isUntold = true
    return errorOf(call, this.#answer)
  }

  /** Called ever and again while it lasts. */
  check(sinceMs: number): void {
    const { operators, server, name } = this.#world
    const cluster = this.#world.cluster()
    const isWatched = [...operators.values()].some(({ isLeader, clock }) => isLeader && !clock.isPaused)
    this.#watchedMs = isWatched ? this.#watchedMs + sinceMs : 0
    const replicas = numberAt(cluster, 'spec', 'replicas')
    const ready = server.list('Pod').filter((pod) => conditionOf(pod, 'Ready') === 'True').length
    const isLying = conditionOf(cluster, 'Ready') === 'True' && ready < replicas
    this.#lyingMs = isWatched && isLying ? this.#lyingMs + sinceMs : 0
    if (conditionOf(cluster, 'Degraded') === 'True') this.#isUntold = false
    this.#untoldMs = isWatched && this.#isUntold ? this.#untoldMs + sinceMs : 0
    const patienceMs = this.#answer === 'timeout' ? HANG_MS : 0
    const isBlind = this.#method === 'GET' && SIGHT.includes(this.#kind)
    if (this.#lyingMs > (isBlind ? BLIND_LIE_MS : LIE_MS) + patienceMs)
      this.#world.fail(new Error(`invariant 17: ${this.what}: ${name} is Ready, and ${ready} of ${replicas} pods are`))
    if (this.#untoldMs > LIE_MS + patienceMs)
      this.#world.fail(new Error(`invariant 17: ${this.what}: Degraded does not tell of it`))
  }

  /** Long after the last strike: whoever has lost its data is no voter any more, or has it again. */
  checkRepair(): void {
    const { raft, server, name } = this.#world
    if (this.#watchedMs < AFTERWARDS_MS || (this.#method === 'GET' && ESSENTIAL.includes(this.#kind))) return
    const set = server.get('StatefulSet', name)
    const kept = numberAt(set, 'spec', 'replicas')
    const wanted = this.#world.wantedReplicas()
    if (this.#isOfTemplate && set !== undefined && kept !== wanted)
      this.#world.fail(new Error(`invariant 17: ${this.what}: ${kept} pods are counted, and ${wanted} are wanted`))
    const lost = raft.configuration.members.filter(
      (member) => raft.configuration.voters.includes(member.id) && raft.process(member.id)?.isUp !== true,
    )
    // Pods beyond what a StatefulSet says, which cannot be put right, stay away.
    const repairable = lost.filter((member) => Number(member.name.split('-').at(-1)) < kept)
    if (repairable.length > 0)
      this.#world.fail(new Error(`invariant 17: ${this.what}: ${repairable[0]?.name} is not repaired`))
  }
}

function errorOf(call: Call, answer: AnswerKind): ApiError {
  const what = describe(call)
  switch (answer) {
    case 'webhook':
      return errorOfStatus(500, { reason: 'InternalError', message: WEBHOOK }, what)
    case 'timeout':
      return new ApiError('Timeout', `${what}: no answer`)
    case 'reset':
      return new ApiError('Unreachable', `${what}: connect ECONNREFUSED`)
    case 'garbage':
      return new ApiError('BadAnswer', `${what}: the answer is not JSON`)
    default:
      return errorOfStatus(answer, {}, what)
  }
}

/** Nothing else goes wrong with calls and watches when this begins. */
export function refuseForAMinute(world: World): void {
  const { random, coverage, log } = world
  if (world.cluster() === undefined) return
  world.edit({ replicas: random.pick([3, 5]) ?? 3, paused: false })
  const refusal = new Refusal(world)
  log.add('fault', `${refusal.what}, for a minute`)
  coverage.note('one kind of call refused for a minute')
  world.refusal = refusal
  const strikes = [
    ...STRIKES.filter(([fault]) => STRUCK.includes(fault)),
    ...EDITS.filter(([fault]) => EDITED.includes(fault)),
  ]
  const strikingUntilMs = world.schedule.now + STRIKING_MS
  const untilMs = strikingUntilMs + AFTERWARDS_MS
  while (world.schedule.now < untilMs && world.failure === undefined) {
    const stepMs = 250
    world.runFor(stepMs)
    refusal.check(stepMs)
    if (world.schedule.now < strikingUntilMs && random.chance(0.1))
      world.checked(() => random.pick(strikes)?.[1](world))
  }
  if (world.failure === undefined) refusal.checkRepair()
  world.refusal = undefined
}
