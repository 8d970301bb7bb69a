/** The things that go wrong, one function each. False: it had nothing to strike now. */
import { EARLIER, LATER } from './builds.ts'
import type { Fault } from './coverage.ts'
import type { Faults } from './faults.ts'
import type { StoredObject } from './api-server.ts'
import { emptyDisk, type MemberProcess } from './member-process.ts'
import type { OperatorProcess } from './operator-process.ts'
import { isTool } from './restores.ts'
import type { World } from './world.ts'

export type Strike = readonly [fault: Fault, strike: (world: World) => boolean]

export const STRIKES: readonly Strike[] = [
  ['operator crash', (world) => withOperator(world, (operator) => operator.crash('crash'))],
  ['operator paused past its lease', pauseLeader],
  ['operator stopped in order', (world) => withOperator(world, (operator) => operator.stop())],
  ['operator of another release', release],
  ['pod deleted', (world) => withPod(world, (pod) => void world.server.delete('Pod', pod.metadata.name))],
  ['pod evicted (Failed)', (world) => withPod(world, (pod) => world.kubelet.evict(pod))],
  ['pod that cannot start', podStuck],
  ['volume lost with its data', loseVolume],
  ['volume that is not provisioned for a while', volumeStuck],
  ['node lost', loseNode],
  [
    'member crash',
    (world) => withMember(world, (member) => world.kubelet.crash(member, 200 + world.random.below(6000))),
  ],
  ['member cut off from its peers', (world) => withMember(world, (member) => cut(world, member, 'isCutOff'))],
  ['member cut off from the operator', (world) => withMember(world, (member) => cut(world, member, 'isUnreachable'))],
  ['learner that never catches up', curseLearner],
  ['leadership moves by itself', (world) => world.raft.leadershipMoves()],
  ['replicas of the StatefulSet edited by hand', scaleByHand],
  ['object of ours deleted by hand', deleteByHand],
  ['member removed by hand', removeByHand],
  ['learner added by hand', addByHand],
  ['watch told that its version is too old (410)', compact],
  ['quorum lost for good', loseQuorum],
  ['quorum silent for long, and a survivor named', silenceQuorum],
  ['all operators and pods gone as a member is added', armBlackout],
]

/** Calls and watches are worse than usual for a while. */
export const BURSTS: readonly (keyof Faults)[] = [
  'apiError',
  'throttle',
  'requestLost',
  'answerLost',
  'slow',
  'conflict',
  'watchBreak',
  'watchSilent',
  'watchLate',
  'memberRequestLost',
  'memberAnswerLost',
  'memberSlow',
  'crashAtCall',
]

export function burst(world: World, kind: keyof Faults): void {
  const { random, faults, schedule, log } = world
  const before = faults[kind]
  const rate = kind === 'crashAtCall' ? 0.2 : 0.1 + 0.8 * random.next()
  log.add('fault', `${kind} ${rate.toFixed(2)}`)
  faults[kind] = rate
  schedule.after(500 + random.below(6000), () => (faults[kind] = Math.min(before, faults[kind])))
}

function withOperator(world: World, strike: (operator: OperatorProcess) => void): boolean {
  const operator = world.random.pick([...world.operators.values()].filter(({ isDead }) => !isDead))
  if (operator !== undefined) strike(operator)
  return operator !== undefined
}

/**
 * It leads, stands still for longer than its lease lasts, and goes on as if nothing had been: at any moment, or in the
 * middle of a reconcile. Another is there to take over.
 */
function pauseLeader(world: World): boolean {
  const leader = [...world.operators.values()].find(({ isLeader }) => isLeader)
  if (leader === undefined) return false
  world.startOperators(2)
  const forMs = 16_000 + world.random.below(13_000)
  if (world.random.chance(0.3)) leader.pause(forMs)
  else world.pauseAfterNextCallMs = forMs
  return true
}

/** There or back: each copy is replaced, in order or not. */
function release(world: World): boolean {
  world.build = world.build === EARLIER ? LATER : EARLIER
  world.log.add('fault', `operators that start have ${world.build.defaultImage}`)
  for (const operator of world.operators.values())
    if (world.random.chance(0.5)) operator.stop()
    else operator.crash('replaced by another release')
  return true
}

function withPod(world: World, strike: (pod: StoredObject) => void): boolean {
  const pod = world.random.pick(world.server.list('Pod').filter((pod) => !isTool(pod)))
  if (pod === undefined) return false
  world.log.add('fault', `${pod.metadata.name} is struck`)
  strike(pod)
  return true
}

function withMember(world: World, strike: (member: MemberProcess) => void): boolean {
  const member = world.random.pick(world.kubelet.running.filter(({ isUp }) => isUp))
  if (member === undefined) return false
  world.log.add('fault', `member ${member.disk.memberId || '-'} of ${member.name} is struck`)
  strike(member)
  return true
}

function cut(world: World, member: MemberProcess, how: 'isCutOff' | 'isUnreachable'): void {
  member[how] = true
  world.schedule.after(500 + world.random.below(8000), () => (member[how] = false))
}

function podStuck(world: World): boolean {
  return stick(world, world.kubelet.stuckPods, `${world.name}-${world.random.below(5)}`)
}

function volumeStuck(world: World): boolean {
  return stick(world, world.controllers.stuckVolumes, `data-${world.name}-${world.random.below(5)}`)
}

function stick(world: World, stuck: Set<string>, name: string): boolean {
  stuck.add(name)
  world.schedule.after(1000 + world.random.below(10_000), () => {
    stuck.delete(name)
    world.controllers.ask()
  })
  return true
}

/** As a cluster can survive it: a quorum that has everything is left. A wiped disk, or volume and pod both gone. */
function loseVolume(world: World): boolean {
  const { raft, random, server, log } = world
  if (raft.configuration.voters.length < 3) return false
  const id = random.pick(raft.configuration.voters.filter((voter) => raft.isSurvivable([voter])))
  const member = id === undefined ? undefined : raft.process(id)
  if (member === undefined || raft.isChangePending) return false
  const volume = server.get('PersistentVolumeClaim', `data-${member.name}`)
  const pod = server.get('Pod', member.name)
  if (volume === undefined || pod === undefined || pod.metadata.uid !== member.podUid) return false
  const isWiped = random.chance(0.4)
  log.add('fault', `${member.name} loses its ${isWiped ? 'data' : 'volume'}, it was member ${id}`)
  if (isWiped) Object.assign(member.disk, emptyDisk())
  else {
    server.remove(pod)
    server.remove(volume)
  }
  return true
}

/** All but one voter lose their volumes; somebody then names the survivor. Once in a run, and not while another is being saved. */
function loseQuorum(world: World, chance = 0.3): boolean {
  const { raft, random, server, log, schedule } = world
  const { voters } = raft.configuration
  if (voters.length < 3 || world.recoveries > 0 || raft.isChangePending || !random.chance(chance)) return false
  const survivor = random.pick(voters.filter((id) => raft.isSurvivable([id]) && raft.isConnected(id)))
  const process = survivor === undefined ? undefined : raft.process(survivor)
  if (process === undefined || !process.disk.known.voters.includes(process.disk.memberId)) return false
  world.recoveries += 1
  log.add('fault', `only ${process.name} keeps its data`)
  for (const id of voters) {
    const lost = id === survivor ? undefined : raft.process(id)
    const volume = lost && server.get('PersistentVolumeClaim', `data-${lost.name}`)
    const pod = lost && server.get('Pod', lost.name)
    if (pod !== undefined) server.remove(pod)
    if (volume !== undefined) server.remove(volume)
  }
  const request = { id: `r${world.nextId()}`, survivor: process.name, acknowledgeDataLoss: true }
  const ask = (): void =>
    world.restores.isOn ? world.restores.ask() : world.edit({ recovery: { request }, paused: false })
  schedule.after(1000 + random.below(5000), ask)
  return true
}

/** As soon as there is a quorum to lose. */
export function loseQuorumSoon(world: World): void {
  const { schedule, faultsEndMs, coverage } = world
  if (schedule.now > faultsEndMs || world.recoveries > 0) return
  if (loseQuorum(world, 1)) coverage.note('quorum lost for good')
  else schedule.after(1000, () => loseQuorumSoon(world))
}

/**
 * As soon as all wanted members vote: the leader is cut off with entries that nobody acknowledges, and the others go on;
 * then so many fall silent that no quorum is left. Once in a run.
 */
export function silenceQuorum(world: World): boolean {
  if (world.recoveries > 0 || world.wantedReplicas() < 3) return false
  world.recoveries += 1
  isolateLeader(world)
  return false // counted where it strikes
}

function isolateLeader(world: World): void {
  const { raft, random, log, schedule } = world
  if (schedule.now > world.faultsEndMs) return
  const leader = raft.process(raft.leader)
  const isWhole = raft.configuration.voters.length >= Math.max(3, world.wantedReplicas()) && raft.isSurvivable([])
  if (leader === undefined || !isWhole) return schedule.after(500, () => isolateLeader(world))
  leader.isCutOff = true
  log.add('fault', `${leader.name} leads on without the others`)
  const forMs = 1500 + random.below(2500)
  for (let moves = random.below(3); moves > 0; moves--)
    schedule.after(random.below(forMs), () => raft.leadershipMoves())
  schedule.after(forMs, () => silenceMost(world, leader))
}

/** Somebody names one of those that answer, and the right one once that was refused. */
function silenceMost(world: World, oldLeader: MemberProcess): void {
  const { raft, random, log, schedule, kubelet } = world
  oldLeader.isCutOff = false
  if (schedule.now > world.faultsEndMs) return
  const voters = raft.configuration.voters.flatMap((id) => raft.process(id) ?? [])
  const answering = [oldLeader, ...voters.filter((process) => process !== oldLeader)].slice(0, (voters.length - 1) >> 1)
  for (const process of voters) if (!answering.includes(process)) kubelet.silence(process)
  world.coverage.note('quorum silent for long, and a survivor named')
  log.add('fault', `only ${answering.map(({ name }) => name).join(', ')} answer`)
  const ask = (survivor: MemberProcess | undefined): void => {
    const request = { id: `r${world.nextId()}`, survivor: survivor?.name, acknowledgeDataLoss: true }
    if (survivor !== undefined && schedule.now <= world.faultsEndMs)
      world.edit({ recovery: { request }, paused: false })
  }
  const isFurthest = ({ disk }: MemberProcess): boolean =>
    answering.every((other) => !raft.isBehind(disk.memberId, other.disk.memberId))
  schedule.after(1000 + random.below(3000), () => ask(random.pick(answering)))
  schedule.after(6000 + random.below(3000), () => ask(answering.find(isFurthest)))
}

function loseNode(world: World): boolean {
  const node = world.random.pick(world.kubelet.nodes.filter(({ isUp }) => isUp))
  if (node === undefined || world.kubelet.nodes.filter(({ isUp }) => isUp).length < 4) return false
  world.log.add('fault', `node ${node.name} is lost`)
  world.kubelet.lose(node, 1000 + world.random.below(12_000))
  return true
}

/** The next one that joins. */
function curseLearner(world: World): boolean {
  if (world.raft.isNextCursed) return false
  world.raft.isNextCursed = true
  return true
}

function scaleByHand(world: World): boolean {
  const set = world.server.get('StatefulSet', world.name)
  if (set === undefined) return false
  const replicas = world.random.below(6)
  world.log.add('fault', `the StatefulSet is scaled to ${replicas} by hand`)
  world.server.replace({ ...set, metadata: { name: world.name }, spec: { ...Object(set['spec']), replicas } })
  return true
}

function deleteByHand(world: World): boolean {
  const kinds = ['Service', 'ServiceAccount', 'PodDisruptionBudget', 'NetworkPolicy', 'StatefulSet']
  const object = world.random.pick([...world.server.all()].filter(({ kind }) => kinds.includes(kind)))
  if (object === undefined) return false
  world.log.add('fault', `${object.kind} ${object.metadata.name} is deleted by hand`)
  world.server.delete(object.kind, object.metadata.name)
  return true
}

/** Counted when it is set up; it strikes once a member is added. */
function armBlackout(world: World): boolean {
  world.onNextAdded = () => {
    world.log.add('fault', 'all operators and all pods are gone')
    for (const operator of world.operators.values()) operator.crash('crash')
    const set = world.server.get('StatefulSet', world.name)
    if (set === undefined) return
    world.server.replace({ ...set, metadata: { name: world.name }, spec: { ...Object(set['spec']), replicas: 0 } })
  }
  return true
}

function removeByHand(world: World): boolean {
  const { raft, random } = world
  const id = random.pick(raft.configuration.voters.filter((voter) => voter !== raft.leader))
  if (id === undefined || raft.configuration.voters.length < 3 || !raft.isSurvivable([id])) return false
  return raft.changeByHand({ kind: 'remove', operationId: '', expectedConfigIndex: 0, memberId: id })
}

/** It stays for some seconds; nobody can be added meanwhile. */
export function addByHand(world: World): boolean {
  const { raft, schedule } = world
  const member = { name: 'guest', peerURLs: [`http://guest-${world.nextId()}:2380`] }
  if (!raft.changeByHand({ kind: 'add-learner', operationId: '', expectedConfigIndex: 0, member })) return false
  schedule.after(3000, () => dismissGuests(world))
  return true
}

export function dismissGuests(world: World): void {
  const { raft } = world
  const guest = raft.configuration.members.find(({ name }) => name === 'guest')
  if (world.raft !== raft || (guest === undefined && !raft.isChangePending)) return
  const isGone =
    guest !== undefined &&
    raft.changeByHand({ kind: 'remove', operationId: '', expectedConfigIndex: 0, memberId: guest.id })
  if (!isGone) world.schedule.after(1000, () => dismissGuests(world))
}

/** Watches that begin or resume now are told to list again. */
function compact(world: World): boolean {
  world.server.compact()
  for (const operator of world.operators.values())
    for (const stream of operator.streams) operator.enter(() => stream.fail(new Error('the connection was reset')))
  return false // counted where a watch is told
}
