/** A member that lives for a moment: whole, but for its disk and its network. */
import type { Clock } from '../../lib/clock.ts'
import { ClusterId, MemberId, Term } from '../../lib/ids.ts'
import { etcdServices } from '../api/etcd/services.ts'
import { BuiltInCalls } from '../grpc/built-in.ts'
import type { RpcObserver } from '../grpc/service.ts'
import { DEFAULT_LIMITS } from '../listen/limits.ts'
import type { Member } from '../mvcc/command.ts'
import { Lifecycle } from '../node/lifecycle/lifecycle.ts'
import { MOMENTARY_ELECTION_MS, MOMENTARY_REQUEST_BYTES, momentaryOptions } from '../node/momentary.ts'
import type { NodePort } from '../node/ports.ts'
import { WatchableStore } from '../node/watch/watchable-store.ts'
import type { TransportHandlers } from '../transport/transport.ts'
import type { ScratchLink } from './scratch-link.ts'
import { scratchVolume } from './scratch-volume.ts'

const CLUSTER = ClusterId(1n)
/** The first leads: two are the fewest that need one another. */
const NAMES = ['leader', 'follower'] as const
const idOf = (place: number): MemberId => MemberId(BigInt(place + 1))
const MEMBERS: readonly Member[] = NAMES.map((name, place) => {
  return { id: idOf(place), name, peerURLs: [`http://${name}`], clientURLs: [], isLearner: false }
})
const MAX_TXN_OPERATIONS = 128

export class ScratchMember {
  readonly #lifecycle: Lifecycle
  readonly #place: number
  readonly #clock: Clock
  readonly #admitted = Promise.withResolvers<NodePort>()
  #handlers: TransportHandlers | undefined
  #calls: BuiltInCalls | undefined

  private constructor(place: number, link: ScratchLink, clock: Clock) {
    this.#place = place
    this.#clock = clock
    this.#lifecycle = new Lifecycle({
      volume: scratchVolume(),
      dataDirectory: 'scratch',
      peerURLs: MEMBERS[place]?.peerURLs ?? [],
      connect: async ({ memberId }, handlers) => {
        this.#handlers = handlers
        return link.attach(memberId, handlers)
      },
      version: '',
      etcdVersion: '',
      node: momentaryOptions(NAMES[place] ?? '', clock),
      onFatal: this.#admitted.reject,
      onAdmitted: async (port) => this.#admitted.resolve(port),
      onRemoved: () => undefined,
    })
  }

  /** All members of a new cluster. */
  static cluster(link: ScratchLink, clock: Clock): readonly ScratchMember[] {
    return NAMES.map((_, place) => new ScratchMember(place, link, clock))
  }

  /** Resolves when clients may come; the first stands for election at once. */
  async start(): Promise<BuiltInCalls> {
    const [id, name] = [idOf(this.#place), NAMES[this.#place] ?? '']
    const plan = {
      kind: 'bootstrap',
      clusterId: CLUSTER,
      memberId: id,
      name,
      members: MEMBERS,
      operationId: '',
    } as const
    const started = await this.#lifecycle.start(plan)
    if (!started.ok) throw new Error(started.error)
    if (this.#place === 0)
      this.#handlers?.onMessages([{ kind: 'timeout-now-request', from: idOf(1), to: id, term: Term(1) }])
    this.#calls = serve(await this.#admitted.promise, this.#clock)
    return this.#calls
  }

  async stop(): Promise<void> {
    this.#admitted.promise.catch(() => undefined)
    await this.#calls?.close(0)
    await this.#lifecycle.stop()
  }
}

function serve(port: NodePort, clock: Clock): BuiltInCalls {
  const watchableStore = new WatchableStore(port, clock)
  const maxRequestBytes = MOMENTARY_REQUEST_BYTES
  const watch = { watchableStore, maxRequestBytes, electionMs: MOMENTARY_ELECTION_MS }
  const services = etcdServices(port, { maxTxnOps: MAX_TXN_OPERATIONS, clock, watch })
  const options = { listenURLs: [], services, maxReceiveBytes: maxRequestBytes, observer: UNOBSERVED_CALLS }
  return new BuiltInCalls(options, DEFAULT_LIMITS, new AbortController().signal)
}

const nothing = (): void => undefined
const UNOBSERVED_CALLS: RpcObserver = {
  method: () => ({ started: nothing, handled: nothing }),
  receivedBytes: nothing,
  sentBytes: nothing,
  failed: nothing,
}
