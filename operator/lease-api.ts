/** The Lease of leader election, read and written through operator/kube. */
import type { LeaseApi, LeaseRecord, LeaseSpec } from './controller/leader-election.ts'
import { isProblem } from './kube/api-error.ts'
import type { KubeClient } from './kube/client.ts'
import type { ObjectName, StoredObject } from './kube/object.ts'
import { apiVersionOf, isRecord } from './kube/object.ts'

/** `client` must have no guard: who asks for the lease does not hold it yet. */
export function leaseApi(client: KubeClient, ref: ObjectName): LeaseApi {
  const leaseOf = (spec: LeaseSpec, resourceVersion?: string) => ({
    apiVersion: apiVersionOf('Lease'),
    kind: 'Lease',
    metadata: { ...ref, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    spec,
  })
  return {
    async read(signal) {
      const lease = await client.get('Lease', ref, { signal })
      return lease === undefined ? undefined : recordOf(lease)
    },
    async create(spec, signal) {
      return orConflict(async () => client.create(leaseOf(spec), { signal }))
    },
    async update(spec, resourceVersion, signal) {
      return orConflict(async () => client.replace(leaseOf(spec, resourceVersion), { signal }))
    },
  }
}

async function orConflict(write: () => Promise<StoredObject>): Promise<LeaseRecord | 'conflict'> {
  try {
    return recordOf(await write())
  } catch (error) {
    // Deleted by hand counts as a conflict too: the next attempt reads, and creates it again.
    if (isProblem(error, 'Conflict', 'AlreadyExists', 'NotFound')) return 'conflict'
    throw error
  }
}

/** Fields of other types than they should have count as absent: anybody may write a Lease by hand. */
function recordOf(lease: StoredObject): LeaseRecord {
  const raw = isRecord(lease['spec']) ? lease['spec'] : {}
  const { holderIdentity, leaseDurationSeconds, acquireTime, renewTime, leaseTransitions } = raw
  return {
    resourceVersion: lease.metadata.resourceVersion,
    spec: {
      ...(typeof holderIdentity === 'string' ? { holderIdentity } : {}),
      ...(typeof leaseDurationSeconds === 'number' ? { leaseDurationSeconds } : {}),
      ...(typeof acquireTime === 'string' ? { acquireTime } : {}),
      ...(typeof renewTime === 'string' ? { renewTime } : {}),
      ...(typeof leaseTransitions === 'number' ? { leaseTransitions } : {}),
    },
  }
}
