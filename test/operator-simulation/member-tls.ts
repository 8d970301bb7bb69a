/**
 * TLS of the members, in some of the runs: what each has mounted, listens to and is known by, what it tells of that, and who can
 * call it.
 *
 * Invariant 19: any two members that run can dial each other at every moment, and applications are served with what they read last.
 */
import type { AdminStatus } from '../../lib/admin-api.ts'
import { SIDES, type TlsSide } from '../../operator/api/tls.ts'
import type { AdminIdentity } from '../../operator/cluster/ports.ts'
import { obstacleFor, reportOf, schemeOf, type Talker, talkerOf } from '../../operator/cluster/testing/fake-tls.ts'
import { MountedSecrets } from '../../operator/cluster/testing/mounted-secrets.ts'
import { Talks } from '../../operator/cluster/testing/talks.ts'
import type { StoredObject } from './api-server.ts'
import { isEqual, listAt, textAt } from './json.ts'
import type { MemberProcess } from './member-process.ts'
import type { RaftMember } from './raft-cluster.ts'
import type { World } from './world.ts'

/** Between two looks of a kubelet at the Secrets that its pods mount, at the longest. */
const LOOK_MS = 20_000

export class MemberTls {
  readonly talks = new Talks()
  readonly #mounts = new MountedSecrets()
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  /** A pod is about to start: whether it has all that its flags name. */
  mounts(pod: StoredObject): boolean {
    this.#mounts.look(pod, this.#secret)
    return SIDES.every((side) => {
      const { schemes, pair, trusted } = this.#talkerOf(pod, side)
      return !schemes.includes('https') || (pair !== undefined && trusted.length > 0)
    })
  }

  /** From here on its kubelet keeps them up to date. */
  started(process: MemberProcess): void {
    const { tlsRandom, schedule, kubelet } = this.#world
    schedule.after(1000 + tlsRandom.below(LOOK_MS), () => {
      const pod = this.#pod(process)
      if (pod === undefined || !kubelet.running.includes(process)) return
      this.#mounts.look(pod, this.#secret)
      this.started(process)
    })
  }

  /** What it tells the cluster of itself, once it hears it. */
  published(process: MemberProcess, record: RaftMember): RaftMember {
    const pod = this.#pod(process)
    if (pod === undefined) return record
    const [peer, client] = [this.#talkerOf(pod, 'peer'), this.#talkerOf(pod, 'client')]
    const peerURLs = peer.known.map((scheme) => record.peerURLs[0]?.replace(/^https?/, scheme) ?? '')
    return { ...record, peerURLs, clientURLs: client.known.map((scheme) => `${scheme}://${client.host}:2379`) }
  }

  /** The others know it as it wants to be known. */
  isPublished(process: MemberProcess): boolean {
    const record = this.#record(process)
    return record !== undefined && isEqual(this.published(process, record), record)
  }

  report(process: MemberProcess): NonNullable<AdminStatus['tls']> {
    const reports = SIDES.flatMap((side) => {
      const talker = this.talker(process, side)
      const report = talker && reportOf(talker)
      return report === undefined ? [] : [[side, report] as const]
    })
    return Object.fromEntries(reports)
  }

  /** By the scheme of the URL, and with the certificate that the caller has. */
  isServed(process: MemberProcess, url: string, identity: AdminIdentity | undefined): boolean {
    const talker = this.talker(process, 'client')
    if (talker === undefined) return false
    if (url.startsWith('http:')) return talker.schemes.includes('http')
    const isListening = talker.schemes.includes('https')
    return isListening && obstacleFor(identity, { ...talker, schemes: ['https'] }, this.#world.wallMs()) === undefined
  }

  check(): void {
    this.talks.check(this.#world.wallMs(), this.#secret, (side) => this.#talkers(side))
  }

  talker(process: MemberProcess, side: TlsSide): Talker | undefined {
    const pod = this.#pod(process)
    return pod && this.#talkerOf(pod, side, this.#record(process))
  }

  /** Of all members that run and know that they are. */
  #talkers(side: TlsSide): readonly Talker[] {
    const { kubelet, raft } = this.#world
    const running = kubelet.running.filter((process) => process.isUp && raft.process(process.disk.memberId) === process)
    return running.flatMap((process) => (this.#record(process) === undefined ? [] : (this.talker(process, side) ?? [])))
  }

  #talkerOf(pod: StoredObject, side: TlsSide, record?: RaftMember): Talker {
    const urls = (side === 'peer' ? record?.peerURLs : record?.clientURLs) ?? []
    const known = urls.length === 0 ? undefined : urls.map(schemeOf)
    return talkerOf(side, pod.metadata.name, argsOf(pod), this.#mounts.of(pod), known)
  }

  #record({ disk }: MemberProcess): RaftMember | undefined {
    return this.#world.raft.configuration.members.find(({ id }) => id === disk.memberId)
  }

  #pod({ name, podUid }: MemberProcess): StoredObject | undefined {
    const pod = this.#world.server.get('Pod', name)
    return pod?.metadata.uid === podUid ? pod : undefined
  }

  readonly #secret = (name: string): StoredObject | undefined => this.#world.server.get('Secret', name)
}

function argsOf(pod: StoredObject): readonly string[] {
  const args = listAt(listAt(pod, 'spec', 'containers')[0], 'args')
  return args.filter((arg) => typeof arg === 'string')
}

/** A RaftCluster's phase of a side, as its status has it. */
export function phaseIn(cluster: StoredObject | undefined, side: TlsSide): string {
  return textAt(cluster, 'status', 'tls', side, 'phase') || 'Disabled'
}
