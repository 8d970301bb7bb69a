/** Bugs of operators, each a text of the product and what it becomes. */
import type { Mutant } from '../mutants/plant.ts'

const CLUSTER = 'operator/cluster'
const RULES = `${CLUSTER}/rules`

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'the StatefulSet follows the wanted count, whoever is a member',
    file: `${RULES}/replicas.ts`,
    find: 'let end = Math.max(start, Math.max(-1, ...kept) + 1)',
    replace: 'let end = start',
  },
  {
    name: 'the lowest ordinal goes first',
    file: `${RULES}/scale-down.ts`,
    find: 'b.ordinal - a.ordinal',
    replace: 'a.ordinal - b.ordinal',
  },
  {
    name: 'a volume goes before the removal is confirmed',
    file: `${RULES}/cleanup.ts`,
    find: 'operation === undefined || memberOrdinals(observed).has(operation.ordinal)',
    replace: 'operation === undefined',
  },
  {
    name: 'volumes of removed members stay',
    file: `${RULES}/cleanup.ts`,
    find: 'if (volume.isTerminating) return []',
    replace: 'if (volume.uid !== "") return []',
  },
  {
    name: 'a cache is read where the live state is needed',
    file: 'operator/kube/client.ts',
    find: 'await this.#read(objectPath(kind, ref), {}, options)',
    replace: 'await this.#read(objectPath(kind, ref), { resourceVersion: "0" }, options)',
  },
  {
    name: 'an operation is not recorded before it is carried out',
    file: `${CLUSTER}/act.ts`,
    find: 'announce(deps, observation, action.operation)\n',
    replace: 'announce(deps, observation, action.operation)\n      if (action.operation.id !== "") return undefined\n',
  },
  {
    name: 'a change carries no fence',
    file: `${CLUSTER}/act.ts`,
    find: 'await admin.membership(action.url, token, action.request, signal)',
    replace: 'await admin.membership(action.url, token, { ...action.request, expectedConfigIndex: undefined }, signal)',
  },
  {
    name: 'a change carries the fence of an older configuration',
    file: `${CLUSTER}/act.ts`,
    find: 'await admin.membership(action.url, token, action.request, signal)',
    replace:
      'await admin.membership(action.url, token, { ...action.request, expectedConfigIndex: cluster.recorded.configIndex }, signal)',
  },
  {
    name: 'the leader is removed without moving leadership',
    file: `${RULES}/scale-down.ts`,
    find: 'if (membership.leader.memberId === member.id) {',
    replace: 'if (membership.leader.memberId === "") {',
  },
  {
    name: 'another change is begun while one is in flight',
    file: `${RULES}/leader.ts`,
    find: 'if (membership?.isChangePending !== true) return undefined',
    replace: 'return undefined',
  },
  {
    name: 'a cluster is formed again when its members are gone from sight',
    file: `${CLUSTER}/observed.ts`,
    find: 'return membership !== undefined || configIndex > 0 || members.length > 0 || isPastForming',
    replace: 'return membership !== undefined',
  },
  {
    name: 'a retry mints another cluster ID',
    file: `${RULES}/form.ts`,
    find: "if (clusterID === '') {",
    replace: "if (clusterID === '' || operation === undefined) {",
  },
  {
    name: 'an opposite edit is ignored once a growth has begun',
    file: `${RULES}/scale-up.ts`,
    find: 'Array.from({ length: cluster.spec.replicas }',
    replace:
      "Array.from({ length: Math.max(cluster.spec.replicas, cluster.recorded.operation?.type === 'ScaleUp' ? cluster.recorded.operation.ordinal + 1 : 0) }",
  },
  {
    name: 'spec.paused is ignored',
    file: `${CLUSTER}/decide.ts`,
    find: '[awaitSight, deletion, paused, takenNames]',
    replace: '[awaitSight, deletion, takenNames]',
  },
  {
    name: 'the finalizer is never removed',
    file: `${RULES}/deletion.ts`,
    find: 'if (isOver) return',
    replace: 'if (isOver && cluster.name === "") return',
  },
  {
    name: 'nothing holds a RaftCluster whose volumes are to go with it',
    file: `${RULES}/claims.ts`,
    find: 'const isWanted = goWithCluster(observed) &&',
    replace: 'const isWanted = cluster.name === "" &&',
  },
  {
    name: 'the finalizer of a RaftCluster that is not deleted never goes',
    file: `${RULES}/claims.ts`,
    find: ' && !isEachOwned(observed)',
    replace: '',
  },
  {
    name: 'a learner is promoted before it has caught up',
    file: `${RULES}/learner.ts`,
    find: 'peer.lag <= allowedLag(observed))',
    replace: 'peer.lag <= allowedLag(observed) + 1e9)',
  },
  {
    name: 'a learner that never catches up is waited for forever',
    file: `${RULES}/learner.ts`,
    find: 'isOverdue(catchUp, nowMs)',
    replace: 'false',
  },
  {
    name: 'status is written over whatever is there',
    file: `${CLUSTER}/write-status.ts`,
    find: '...(resourceVersion !== undefined && { resourceVersion })',
    replace: '',
  },
  {
    name: 'the lease is not asked before a mutation',
    file: 'operator/kube/client.ts',
    find: 'if (!permit.isAllowed) throw',
    replace: 'if (!permit.isAllowed && call.path === "") throw',
  },
  {
    name: 'a lease is taken before it has run out',
    file: 'operator/controller/leader-election.ts',
    find: 'this.#observedAtMs + durationMs',
    replace: 'this.#observedAtMs + durationMs / 10',
  },
  {
    name: 'objects are deleted by name, whichever has it now',
    file: 'operator/kube/cluster-access.ts',
    find: '{ uid: preconditions.uid }',
    replace: '{ uid: undefined }',
  },
  {
    name: 'a pod that is gone is taken for a member that is lost',
    file: `${RULES}/heal.ts`,
    find: "pod?.status?.role !== 'waiting' ||",
    replace: "pod === undefined || (pod.status !== undefined && pod.status.role !== 'waiting') ||",
  },
  {
    name: 'voters are removed whatever is left of them',
    file: `${CLUSTER}/safety.ts`,
    find: 'const healthy = healthyVoters(membership)\n',
    replace: 'const healthy = membership.voters\n',
  },
  {
    name: 'a rollout does not wait for the pod before',
    file: `${RULES}/rollout.ts`,
    find: "  if (unfit.length > 0) {\n    return waiting('RollingOut', waits, inFlightNow)",
    replace: '  if (unfit.length > 0) {\n    return restart(observed, next, id)',
  },
  {
    name: 'a rollout restarts the leader without moving leadership',
    file: `${RULES}/rollout.ts`,
    find: 'leader?.memberId !== memberId',
    replace: 'true',
  },
  {
    name: 'who was to be added is forgotten while no leader answers',
    file: `${CLUSTER}/observed.ts`,
    find: 'return [...members, operation]',
    replace: 'return members',
  },
  {
    name: 'an error of one call ends the look',
    file: `${CLUSTER}/act.ts`,
    find: "if (!(error instanceof KubeError) || error.problem.kind === 'terminating') throw error\n    if (subject",
    replace: 'if (error !== undefined) throw error\n    if (subject',
  },
  {
    name: 'a refused object is tried at every look',
    file: `${CLUSTER}/refusals.ts`,
    find: 'return waitMs > 0 && waitMs <= MAX_WAIT_MS',
    replace: 'return false',
  },
  {
    name: 'what was seen last stands for what cannot be read, forever',
    file: `${CLUSTER}/findings.ts`,
    find: 'const MEMORY_MS = 15_000',
    replace: 'const MEMORY_MS = Infinity',
  },
  {
    name: 'a rule whose work is refused wins forever',
    file: `${CLUSTER}/decide.ts`,
    find: 'if (!isWaiting && (hasWork(actions) || !isHeld))',
    replace: 'if (held === undefined)',
  },
  {
    name: 'a survivor is judged by its last index alone',
    file: `${CLUSTER}/log-end.ts`,
    find: '  if (other.lastTerm !== own.lastTerm) return other.lastTerm > own.lastTerm\n',
    replace: '',
  },
  {
    name: 'all former volumes go while the survivor alone has the data',
    file: `${CLUSTER}/safety.ts`,
    find: 'filter(hasAll).length >= 2',
    replace: 'filter(hasAll).length >= 1',
  },
  {
    name: 'former members run on beside the survivor',
    file: `${RULES}/replicas.ts`,
    find: 'const start = Math.max(-1, ...below) + 1',
    replace: 'const start = Math.min(0, ...below)',
  },
  {
    name: 'an open image is that of whatever operator looks',
    file: `${RULES}/template.ts`,
    find: 'cluster.recorded.base.image || (objects.statefulSet?.image ?? defaultImage)',
    replace: 'defaultImage',
  },
  {
    name: 'a newer operator makes pods in its own form at once',
    file: `${RULES}/template.ts`,
    find: '  if (base.image === wanted &&',
    replace: '  if (base.form <= forms.length) return forms.length\n  if (base.image === wanted &&',
  },
  {
    name: 'the claim template follows the form',
    file: `${CLUSTER}/resources/stateful-set.ts`,
    find: '[options.claimTemplate ?? made.claim]',
    replace: '[made.claim]',
  },
  {
    name: 'pods are not counted while their template is refused',
    file: `${RULES}/objects.ts`,
    find: 'return isAlone && !hasFields(present.object, changes)',
    replace: 'return isAlone && start > end',
  },
  {
    name: 'the only voter is renewed before others can vote',
    file: `${RULES}/rollout.ts`,
    find: 'if (growsFirst(observed, membership, memberId)) return undefined\n',
    replace: '',
  },
  {
    name: 'kubectl rollout restart is not seen',
    file: `${RULES}/rollout.ts`,
    find: 'return isBefore || pod',
    replace: 'return pod',
  },
  {
    name: 'a survivor must know as much as the history that it ends',
    file: `${CLUSTER}/act.ts`,
    find: 'staleVolumes: [...staleVolumes], ...history }',
    replace: 'staleVolumes: [...staleVolumes] }',
  },
]
