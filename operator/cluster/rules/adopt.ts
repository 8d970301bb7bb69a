/**
 * spec.bootstrap.adopt: a new RaftCluster takes over the volumes that a deleted one of its name and namespace left. It gets the cluster ID of
 * the volumes, and once that is recorded the claims are its own: members start from their data, with their old identities. No cluster is ever
 * formed on an empty volume beside them (form.ts).
 *
 * All or nothing: only the data shows which claims were members', so each must exist, belong to that cluster, and be unused. Pure.
 */
import { awaitsAdoption, type Observed, type ObservedClaim } from '../observed.ts'
import { blocked, IN_FLIGHT_MS, type Plan, waiting } from '../plan.ts'
import { names } from '../resources/names.ts'

/** Undefined where nothing is to be adopted, or no more. */
export function adopt(observed: Observed): Plan | undefined {
  const { cluster, claims } = observed
  const { clusterID = '' } = cluster.spec.bootstrap?.adopt ?? {}
  if (!awaitsAdoption(observed)) return undefined
  const refusal = refusalOf(observed, claims ?? [], clusterID)
  if (refusal !== undefined)
    return blocked('AdoptionRefused', `nothing is adopted: ${refusal}`, cluster.recorded.operation)
  return {
    ...waiting('Adopting', `takes over the volumes of cluster ${clusterID}`),
    actions: [{ kind: 'adopt-cluster-id', clusterID }],
    requeueAfterMs: IN_FLIGHT_MS,
  }
}

function refusalOf({ cluster }: Observed, claims: readonly ObservedClaim[], clusterID: string): string | undefined {
  const { replicas } = cluster.spec
  if (claims.length === 0)
    return `PersistentVolumeClaim ${names.volume(cluster, 0)} does not exist: a RaftCluster adopts only volumes of a RaftCluster with its name and namespace`
  const unmarked = claims.filter((claim) => claim.clusterID === undefined)
  if (unmarked.length > 0) return `${list(unmarked)} has no cluster ID (annotation raftkv.dev/cluster-id)`
  const ids = [...new Set(claims.map((claim) => claim.clusterID))]
  if (ids.length > 1)
    return `the claims belong to ${ids.length} clusters: ${claims.map((claim) => `${claim.name} of ${claim.clusterID}`).join(', ')}. Delete those that you do not need`
  if (ids[0] !== clusterID)
    return `${list(claims)} has data of cluster ${ids[0]}, and bootstrap.adopt names ${clusterID}: delete the RaftCluster and create it with the right ID`
  const going = claims.filter(({ isTerminating }) => isTerminating)
  if (going.length > 0) return `${list(going)} is being deleted`
  const present = new Set(claims.map(({ ordinal }) => ordinal))
  const most = Math.max(replicas, ...[...present].map((ordinal) => ordinal + 1))
  const missing = Array.from({ length: most }, (_, ordinal) => ordinal).filter((ordinal) => !present.has(ordinal))
  if (missing.length > 0) {
    const gone = missing.map((ordinal) => names.volume(cluster, ordinal)).join(', ')
    return `${gone} is missing. Set replicas to the number of members that the cluster had; if a volume is lost, restore a backup`
  }
  if (most > replicas)
    return `the cluster has ${most} claims, and replicas is ${replicas}: set replicas to ${most} and scale down once it runs, or delete claims that no member used any more`
  const used = claims.flatMap(({ name, users }) => users.map((user) => `${name} by pod ${user}`))
  if (used.length === 0) return undefined
  return `still in use: ${used.join(', ')}. Adoption begins once these pods have stopped`
}

function list(claims: readonly ObservedClaim[]): string {
  return claims.map(({ name }) => name).join(', ')
}
