/**
 * Invariants 12–19 of the operator, checked at every mutation when it arrives. An operator is judged by what it could know:
 * by what it has read last, and by what the API server holds; what members refuse is no excuse for having asked.
 */
import type { AdminStatus } from '../../lib/admin-api.ts'
import { quorumOf } from '../../node-server/node/membership/fence.ts'
import { SIDES } from '../../operator/api/tls.ts'
import { formerPod, formerVolumeGone, ordinalOf } from './former-members.ts'
import { conditionOf } from './kubelet.ts'
import { at, isEqual, type Json, listAt, numberAt, textAt, valueAt } from './json.ts'
import type { StoredObject } from './api-server.ts'
import type { Disk, MemberProcess } from './member-process.ts'
import type { Configuration, RaftCluster } from './raft-cluster.ts'
import { Templates } from './templates.ts'
import type { World } from './world.ts'

export class Violation extends Error {}

export interface Mutation {
  readonly method: string
  readonly kind: string
  readonly name: string
  readonly subresource: string
  readonly body: Json
}

/** What one operator process has read last. */
interface Knowledge {
  cluster: StoredObject | undefined
  readonly statuses: Map<string, AdminStatus>
}

export class Oracle {
  readonly #world: World
  readonly #knowledge = new Map<string, Knowledge>()
  /** Operation IDs under which each change was asked for. */
  readonly #operations = new Map<string, string>()
  readonly #templates = new Templates()
  /** Restores in place that were carried out, by the IDs of their requests. */
  readonly #switches = new Set<string>()
  #clusterId = ''
  #formedAs = ''
  /** After the world has settled, nothing may be changed any more. */
  isQuiet = false

  constructor(world: World) {
    this.#world = world
  }

  /** A RaftCluster of that name is recreated: nothing of the old one counts. */
  reset(): void {
    this.#clusterId = ''
    this.#formedAs = ''
    this.#templates.reset()
    this.#knowledge.clear()
  }

  clusterRead(operator: string, object: StoredObject | undefined): void {
    const known = this.#known(operator)
    known.cluster = object
    known.statuses.clear() // a reconcile begins
  }

  statusRead(operator: string, status: AdminStatus): void {
    this.#known(operator).statuses.set(status.name, status)
  }

  mutation(operator: string, mutation: Mutation): void {
    const { kind, subresource, method } = mutation
    if (kind === 'Lease' || kind === 'Event') return
    this.#checkLease(operator, `${method} ${kind}`)
    if (subresource === 'status') return this.#checkStatus(mutation)
    this.#checkStandstill(operator, mutation)
    if (this.isQuiet) violated(16, `settled, and yet ${method} ${kind} ${mutation.name}`)
    if (kind === 'StatefulSet' && method === 'PATCH') {
      this.#checkReplicas(operator, mutation)
      this.#checkTemplate(operator, mutation)
    }
    if (kind === 'PersistentVolumeClaim' && method === 'DELETE') this.#checkVolume(operator, mutation)
    if (kind === 'Pod' && method === 'DELETE') this.#checkPod(operator, mutation)
    if (method === 'DELETE' && textAt(mutation.body, 'preconditions', 'uid') === '')
      violated(13, `${kind} ${mutation.name} is deleted by name, whichever object has it`)
  }

  memberMutation(operator: string, what: string, request: object, member: MemberProcess): void {
    this.#checkLease(operator, what)
    const known = this.#known(operator)
    const operationId = textAt(request, 'operationId')
    const status = at(this.#cluster(), 'status')
    if (valueAt(known.cluster, 'spec', 'paused') === true) violated(16, `${what} while paused`)
    if (this.isQuiet) violated(16, `settled, and yet ${what}`)
    if (operationId === '' || textAt(status, 'operation', 'id') !== operationId)
      violated(16, `${what} is not the operation in status, which is ${textAt(status, 'operation', 'id')}`)
    if (typeof valueAt(request, 'expectedConfigIndex') !== 'number') violated(12, `${what} without a fence`)
    this.#checkIntent(what, request, operationId)
    if (what === 'bootstrap') return this.#checkBootstrap(request, status, member)
    if (what === 'recover') return this.#checkRecovery(known, member)
    const leader = [...known.statuses.values()]
      .filter(({ role }) => role === 'leader')
      .toSorted((a, b) => b.term - a.term)[0]
    if (leader === undefined) violated(12, `${what} without the word of a leader`)
    this.#checkFence(what, request, leader)
    if (what === 'remove') this.#checkRemoval(request, leader, known)
    if (['defragment', 'compact', 'disarm'].includes(what)) this.#checkUpkeep(what, request, leader, known)
    if (what === 'add-learner') this.#checkAddition(textAt(request, 'member', 'name'), leader, known)
  }

  /** A cluster is about to be formed on an empty disk. */
  forms(raft: RaftCluster, clusterId: string): void {
    if (raft.clusterId !== '' || this.#formedAs !== '') violated(14, 'an empty disk forms a second cluster')
    if (clusterId !== this.#clusterId) violated(14, `cluster ${clusterId} is formed, ${this.#clusterId} is recorded`)
    this.#formedAs = clusterId
  }

  /** A Job has read a backup, and writes what was in it. */
  fills(volumeUid: string, { clusterId: present }: Disk, clusterId: string): void {
    const operation = at(this.#cluster(), 'status', 'operation')
    if (present !== '' && present !== clusterId) violated(14, `a backup is written over the data of cluster ${present}`)
    const isStale = textAt(operation, 'volumeUID') !== volumeUid && present === ''
    if (isStale && textAt(operation, 'step') === 'Restore')
      violated(14, 'a volume is filled that is not the one in status')
  }

  /** A disk that a backup was restored to starts as a cluster, in the place of that one. */
  replaces(raft: RaftCluster, clusterId: string): void {
    if (clusterId !== this.#clusterId) violated(14, `cluster ${clusterId} starts, ${this.#clusterId} is recorded`)
    if (raft.clusterId === clusterId) violated(14, `cluster ${clusterId} starts a second time`)
  }

  /** An empty disk becomes that member. */
  joins(raft: RaftCluster, memberId: string): void {
    if (raft.started.has(memberId)) violated(14, `an empty disk takes the place of member ${memberId}, which has voted`)
  }

  configured(before: Configuration, after: Configuration): void {
    const changed = [...before.voters, ...after.voters].filter(
      (id) => before.voters.includes(id) !== after.voters.includes(id),
    )
    if (changed.length > 1) violated(12, `more than one voter changes at once: ${changed.join(', ')}`)
  }

  /** For the log. */
  describe(kind: string, subresource: string, body: Json): string {
    if (kind === 'StatefulSet') return `replicas ${numberAt(body, 'spec', 'replicas')}`
    if (subresource !== 'status') return ''
    const { operation, configIndex } = at(body, 'status')
    const step =
      operation === undefined
        ? '-'
        : `${textAt(operation, 'type')}/${textAt(operation, 'step')} ${textAt(operation, 'id')}`
    const progress = listAt(body, 'status', 'conditions').find(
      (condition) => textAt(condition, 'type') === 'Progressing',
    )
    return `${step} config ${String(configIndex)} ${textAt(progress, 'reason')}`
  }

  #checkLease(operator: string, what: string): void {
    const holder = textAt(this.#world.server.get('Lease', 'operator'), 'spec', 'holderIdentity')
    if (holder !== operator) violated(15, `${what} by ${operator}, while ${holder || 'nobody'} holds the lease`)
  }

  #checkStandstill(operator: string, { kind, method, name }: Mutation): void {
    const { cluster } = this.#known(operator)
    const isDeleted = cluster?.metadata.deletionTimestamp !== undefined
    if (valueAt(cluster, 'spec', 'paused') === true && !isDeleted)
      violated(16, `${method} ${kind} ${name} though the RaftCluster is paused`)
  }

  #checkStatus({ body }: Mutation): void {
    const { server, coverage } = this.#world
    const present = this.#cluster()
    if (present === undefined || textAt(body, 'metadata', 'resourceVersion') === '') {
      if (present !== undefined) violated(16, 'status is written over whatever is there')
      return
    }
    if (textAt(body, 'metadata', 'resourceVersion') !== present.metadata.resourceVersion) return
    const [before, after] = [textAt(present, 'status', 'clusterID'), textAt(body, 'status', 'clusterID')]
    if (before !== '' && before !== after) this.#checkSwitch(present, after)
    else if (this.#clusterId !== '' && after !== '' && after !== this.#clusterId)
      violated(14, 'a second cluster ID is minted')
    if (after !== '') this.#clusterId = after
    const operation = at(body, 'status', 'operation')
    const isRecovery = valueAt(operation, 'type') === 'Recover'
    if (!isRecovery && numberAt(body, 'status', 'configIndex') < numberAt(present, 'status', 'configIndex'))
      violated(12, 'the recorded configuration goes back')
    for (const side of SIDES) {
      const [before, after] = [present, body].map((one) => at(one, 'status', 'tls', side))
      if (after?.['phase'] !== before?.['phase']) coverage.note(`TLS ${textAt(after, 'phase')}`)
      if (after?.['rotation'] !== before?.['rotation']) coverage.note(`CA ${textAt(after, 'rotation')}`)
    }
    if (valueAt(operation, 'step') !== undefined)
      coverage.note(`step ${textAt(operation, 'type')}/${textAt(operation, 'step')}`)
    for (const condition of listAt(body, 'status', 'conditions')) {
      const [type, status] = [textAt(condition, 'type'), textAt(condition, 'status')]
      if (type === 'Progressing') coverage.note(`plan ${textAt(condition, 'reason')}`)
      else if (conditionOf(server.get('RaftCluster', this.#world.name), type) !== status)
        coverage.note(`${type}=${status}`)
    }
  }

  /** To what somebody has asked for, once the backup is on the volume in status, and of a cluster that nobody leads. */
  #checkSwitch(present: StoredObject, after: string): void {
    const { raft, restores, coverage } = this.#world
    const operation = at(present, 'status', 'operation')
    const request = textAt(operation, 'request')
    if (textAt(operation, 'type') !== 'Recover' || textAt(operation, 'step') !== 'Restore')
      violated(14, `the cluster ID changes from ${this.#clusterId} to ${after || 'none'}`)
    if (!restores.isFilledWith(textAt(operation, 'volumeUID'), after))
      violated(14, `cluster ${after} is recorded, and no backup was restored for it`)
    if (this.#switches.has(request)) violated(14, `the restore ${request} is carried out a second time`)
    this.#switches.add(request)
    if (raft.leader !== '' && raft.isSurvivable([])) coverage.note('a quorum came back in the moment of the switch')
  }

  /** Another cluster is recorded than the one that runs: its first member has not started yet. */
  #isSwitching(): boolean {
    const { raft } = this.#world
    return raft.clusterId !== '' && raft.clusterId !== this.#clusterId
  }

  /** No member may lose its pod by a count. */
  #checkReplicas(operator: string, { body }: Mutation): void {
    const wanted = numberAt(body, 'spec', 'replicas')
    const start = numberAt(body, 'spec', 'ordinals', 'start')
    // Scaled to zero: members and volumes stay, only the pods go.
    if (wanted === 0 && valueAt(this.#known(operator).cluster, 'spec', 'replicas') === 0) return
    if (this.#isSwitching()) return this.#checkSeedAlone({ start, end: start + wanted })
    // With TLS members get their pods with their certificates: after a scale to zero, or where the StatefulSet was deleted.
    const { server, name: set, hasTls } = this.#world
    const present = server.get('StatefulSet', set)
    const firstNow = present === undefined ? 0 : numberAt(present, 'spec', 'ordinals', 'start')
    const afterNow = present === undefined ? 0 : firstNow + numberAt(present, 'spec', 'replicas')
    for (const { name, id } of this.#world.raft.configuration.members) {
      const ordinal = ordinalOf(name)
      if (ordinal === Infinity || (ordinal >= start && ordinal < start + wanted)) continue
      if (!hasTls || (ordinal >= firstNow && ordinal < afterNow))
        violated(12, `the StatefulSet is cut to ${wanted} from ${start} on, and ${name} is still member ${id}`)
    }
    const leader = [...this.#known(operator).statuses.values()].find(({ role }) => role === 'leader')
    const wrong = leader && formerPod(this.#world, leader, { start, end: start + wanted })
    if (wrong !== undefined) violated(14, wrong)
  }

  /** What was given up does not run, whether the one that comes in its place runs already or not. */
  #checkSeedAlone({ start, end }: { readonly start: number; readonly end: number }): void {
    const { server, kubelet, name } = this.#world
    for (let ordinal = start; ordinal < end; ordinal++) {
      const volume = server.get('PersistentVolumeClaim', `data-${name}-${ordinal}`)
      const disk = volume && kubelet.disks.get(volume.metadata.uid)
      const isOld = disk !== undefined && disk.clusterId !== '' && disk.clusterId !== this.#clusterId
      if (isOld)
        violated(14, `${name}-${ordinal} is to run on the data of cluster ${disk.clusterId}, which was given up`)
    }
  }

  #checkTemplate(operator: string, { body }: Mutation): void {
    const { server, name } = this.#world
    const wrong = this.#templates.applied(this.#known(operator).cluster, body, server.get('StatefulSet', name))
    if (wrong !== undefined) violated(18, wrong)
  }

  #checkVolume(operator: string, { name, body }: Mutation): void {
    const { server, kubelet, raft } = this.#world
    const volume = server.get('PersistentVolumeClaim', name)
    if (volume === undefined || volume.metadata.uid !== textAt(body, 'preconditions', 'uid')) return
    const cluster = this.#cluster()
    if (cluster?.metadata.deletionTimestamp !== undefined) {
      if (valueAt(cluster, 'spec', 'storage', 'retention', 'whenDeleted') !== 'Delete')
        violated(13, `${name} is to be kept`)
      return
    }
    const disk = kubelet.disks.get(volume.metadata.uid)
    const isOld = disk !== undefined && disk.clusterId !== '' && disk.clusterId !== this.#clusterId
    if (isOld && this.#isSwitching()) violated(13, `${name} is deleted, and the backup in its place has not started`)
    const isMember =
      disk !== undefined &&
      disk.clusterId === raft.clusterId &&
      raft.configuration.members.some(({ id }) => id === disk.memberId)
    if (isMember) violated(13, `${name} is deleted, the volume of member ${disk.memberId}`)
    // Of the cluster as the operator knew it: it may have gone while the call was on its way.
    if (volume.metadata.labels?.['raftkv.dev/cluster-uid'] !== textAt(this.#known(operator).cluster, 'metadata', 'uid'))
      violated(13, `${name} is somebody else's`)
    const wrong = formerVolumeGone(this.#world, name, numberAt(this.#known(operator).cluster, 'spec', 'replicas'))
    if (wrong !== undefined) violated(13, wrong)
  }

  /** A pod of a voter goes only where a quorum of others is there, as far as the operator could know. */
  #checkPod(operator: string, { name, body }: Mutation): void {
    const { server, raft } = this.#world
    const pod = server.get('Pod', name)
    if (pod === undefined || pod.metadata.uid !== textAt(body, 'preconditions', 'uid')) return
    const member = raft.configuration.members.find((candidate) => candidate.name === name)
    if (member === undefined || !raft.configuration.voters.includes(member.id)) return
    // Nobody misses a process that does not run.
    if (!this.#known(operator).statuses.has(name)) return
    const leader = [...this.#known(operator).statuses.values()].find(({ role }) => role === 'leader')
    if (leader === undefined) violated(12, `${name} is deleted without the word of a leader`)
    const isActive =
      leader.memberId === member.id || leader.peers.some((peer) => peer.id === member.id && peer.isActive)
    if (!isActive) return
    if (leader.memberId === member.id && leader.voters.length > 1) violated(12, `${name} is deleted, and it leads`)
    const others = leader.voters.filter(
      (id) =>
        id !== member.id && (id === leader.memberId || leader.peers.some((peer) => peer.id === id && peer.isActive)),
    )
    const { length: voters } = leader.voters
    if (voters <= 2 && voters < numberAt(this.#known(operator).cluster, 'spec', 'replicas'))
      violated(12, `${name} is deleted, one of ${voters} voters, before there are more`)
    if (voters > 2 && others.length < quorumOf(voters))
      violated(12, `${name} is deleted, and ${others.length} of ${voters} voters would be left`)
  }

  #checkBootstrap(request: object, status: Json, member: MemberProcess): void {
    if (textAt(request, 'clusterId') !== textAt(status, 'clusterID'))
      violated(14, 'the cluster ID was not recorded before it is used')
    if (ordinalOf(member.name) !== 0) violated(14, `${member.name} is the seed`)
  }

  #checkFence(what: string, request: object, leader: AdminStatus): void {
    if (numberAt(request, 'expectedConfigIndex') !== leader.configIndex)
      violated(
        12,
        `${what} on configuration ${numberAt(request, 'expectedConfigIndex')}, the leader told of ${leader.configIndex}`,
      )
    const isChange = ['add-learner', 'promote', 'remove'].includes(what)
    if (isChange && leader.isChangePending) violated(12, `${what} while the leader told of a change in flight`)
    if (what === 'add-learner' && leader.learners.length > 0) violated(12, 'a second learner is added')
    if (what === 'promote') {
      const peer = leader.peers.find(({ id }) => id === textAt(request, 'memberId'))
      if (peer === undefined || peer.matchIndex === 0 || peer.lag > 100)
        violated(12, `${textAt(request, 'memberId')} is promoted, ${peer?.lag ?? 'unknown'} entries behind`)
    }
  }

  #checkAddition(name: string, leader: AdminStatus, { cluster }: Knowledge): void {
    const replicas = numberAt(cluster, 'spec', 'replicas')
    if (ordinalOf(name) >= replicas) violated(16, `${name} is added, and ${replicas} are wanted`)
    const present = leader.members.find((member) => member.name === name)
    if (present !== undefined) violated(12, `${name} is added, and is member ${present.id}`)
  }

  /** Asked for and acknowledged, for this very member, and nobody leads as far as anybody says. */
  #checkRecovery({ cluster, statuses }: Knowledge, member: MemberProcess): void {
    const request = at(cluster, 'spec', 'recovery', 'request')
    if (request['acknowledgeDataLoss'] !== true) violated(12, 'a recovery that nobody asked for')
    if (![member.name, member.disk.memberId].includes(textAt(request, 'survivor')))
      violated(12, `${member.name} is recovered from, and ${textAt(request, 'survivor')} was named`)
    if ([...statuses.values()].some(({ role }) => role === 'leader')) violated(12, 'a recovery while somebody leads')
    for (const { name, role, commitIndex } of statuses.values())
      if (!['waiting', 'removed'].includes(role) && commitIndex > member.disk.applied)
        violated(
          1,
          `${member.name} is recovered from, and ${name} has ${commitIndex - member.disk.applied} acknowledged entries more`,
        )
    if (conditionOf(cluster, 'QuorumLost') !== 'True') violated(12, 'a recovery before the loss was reported')
  }

  /** Stores are kept in order at nobody's cost, as far as the operator has read. */
  #checkUpkeep(what: string, request: object, leader: AdminStatus, { statuses }: Knowledge): void {
    const memberId = textAt(request, 'memberId')
    const all = [...statuses.values()]
    const voting = all.filter((status) => leader.voters.includes(status.memberId))
    if (what === 'compact') {
      if (leader.alarms?.some(({ type }) => type === 'NOSPACE') !== true) violated(19, 'history goes without need')
      const full = voting.flatMap(({ store }) =>
        store !== undefined && isCrowded(store.sizeBytes, store) ? [store] : [],
      )
      const isEnough = full.length > 0 && full.every((store) => !isCrowded(store.inUseBytes, store))
      if (isEnough) violated(19, 'history goes although the free space of the stores is enough')
      return
    }
    if (what === 'disarm') {
      const full = voting.find(({ store }) => store !== undefined && isCrowded(store.sizeBytes, store))
      if (full !== undefined) violated(19, `the alarm of ${memberId} is disarmed, and ${full.name} has no room`)
      return
    }
    if (memberId === leader.memberId && leader.voters.length > 1)
      violated(19, `member ${memberId} is defragmented, and it leads`)
    const busy = all.find(({ memberId: id, store }) => id !== memberId && store?.defragmentation?.state === 'running')
    if (busy !== undefined) violated(19, `member ${memberId} is defragmented while ${busy.name} is`)
    if (textAt(this.#cluster(), 'status', 'operation', 'type') !== 'Defragment') return
    const isAway = (id: string): boolean =>
      id !== leader.memberId && !leader.peers.some((peer) => peer.id === id && peer.isActive)
    const away = leader.members.find(({ id }) => isAway(id) || all.every((status) => status.memberId !== id))
    if (away !== undefined) violated(19, `member ${memberId} is defragmented while ${away.name} is away`)
    if (leader.learners.length > 0 || leader.isChangePending)
      violated(19, `member ${memberId} is defragmented while members change`)
  }

  #checkRemoval(request: object, leader: AdminStatus, known: Knowledge): void {
    const memberId = textAt(request, 'memberId')
    const replicas = numberAt(known.cluster, 'spec', 'replicas')
    const member = leader.members.find(({ id }) => id === memberId)
    if (memberId === leader.memberId) violated(12, `the leader ${memberId} is removed without moving leadership first`)
    if (member === undefined) violated(12, `${memberId} is removed, which is no member`)
    const active = leader.voters.filter(
      (id) => id === leader.memberId || leader.peers.some((peer) => peer.id === id && peer.isActive),
    )
    const after = leader.voters.filter((id) => id !== memberId)
    const healthyAfter = active.filter((id) => id !== memberId).length
    if (active.length < quorumOf(leader.voters.length) || healthyAfter < quorumOf(after.length))
      violated(12, `${memberId} is removed with ${active.length} of ${leader.voters.length} voters healthy`)
    const ordinal = ordinalOf(member.name)
    // A learner has no vote; one whose data is lost goes first, wherever it stands.
    if (member.isLearner || known.statuses.get(member.name)?.role === 'waiting') return
    if (ordinal >= replicas) {
      const above = leader.members.filter(
        ({ name, isLearner }) => !isLearner && ordinalOf(name) > ordinal && ordinalOf(name) !== Infinity,
      )
      if (above.length > 0) violated(12, `${member.name} goes before ${above.map(({ name }) => name).join(', ')}`)
      return
    }
    this.#checkReplacement(member.name, memberId, known)
  }

  /** A wanted voter is removed only when its data is known to be gone, or where a person asked for it. */
  #checkReplacement(name: string, memberId: string, known: Knowledge): void {
    const { cluster, statuses } = known
    const asked = cluster?.metadata.annotations?.['raftkv.dev/replace-member']
    const handled = textAt(cluster, 'status', 'handledRequests', 'replaceMember')
    const isBegun = textAt(cluster, 'status', 'operation', 'memberID') === memberId
    if ([name, memberId].includes(asked ?? '') && (handled !== asked || isBegun)) return
    const isAllowed = valueAt(cluster, 'spec', 'repair', 'allowVolumeReplacement') === true
    const isHeard = [...statuses.values()].some(({ peers }) =>
      peers.some(({ id, isActive }) => id === memberId && isActive),
    )
    if (!isAllowed || isHeard) violated(12, `${name} is removed though it is wanted and has its data`)
  }

  /** One intent, one ID: the same ID never names two different changes. */
  #checkIntent(what: string, request: object, operationId: string): void {
    const { expectedConfigIndex, memberId, member } = at({ request }, 'request')
    const intent = JSON.stringify([what, expectedConfigIndex, memberId, member])
    const before = this.#operations.get(operationId)
    if (before !== undefined && !isEqual(before, intent))
      violated(12, `operation ${operationId} was ${before} and is ${intent}`)
    this.#operations.set(operationId, intent)
  }

  #cluster(): StoredObject | undefined {
    return this.#world.server.get('RaftCluster', this.#world.name)
  }

  #known(operator: string): Knowledge {
    const known = this.#knowledge.get(operator) ?? { cluster: undefined, statuses: new Map() }
    this.#knowledge.set(operator, known)
    return known
  }
}

/** Were its files of that size, the alarm would be back soon. */
function isCrowded(sizeBytes: number, { quotaBytes = Infinity }: NonNullable<AdminStatus['store']>): boolean {
  return sizeBytes > 0.9 * quotaBytes
}

function violated(invariant: number, message: string): never {
  throw new Violation(`invariant ${invariant}: ${message}`)
}
