/** Whether a pod could be made from the pod template in force: the API server is asked, with all that admits pods, and makes none. I/O. */
import { z } from 'zod'
import type { Observed, ObservedStatefulSet } from './observed.ts'
import { KubeError, type KubeReader } from './ports.ts'
import { names, VOLUME } from './resources/names.ts'
import { isOnTrial } from './rules/rollout.ts'

const Template = z.object({
  metadata: z.object({ labels: z.record(z.string(), z.string()), annotations: z.record(z.string(), z.string()) }),
  spec: z.looseObject({ volumes: z.array(z.unknown()).default([]) }),
})

/** A webhook that cannot be asked so, or a right that an older chart does not give: then it cannot be found out. */
const UNKNOWN = /does not support dry run|cannot create resource "pods"/

/** Undefined also where it cannot be found out, or need not be. */
export async function templateRefusal(reader: KubeReader, observed: Observed): Promise<string | undefined> {
  const { statefulSet } = observed.objects
  if (statefulSet === undefined || !isOnTrial(observed)) return undefined
  try {
    await reader.tryCreate(podOf(observed, statefulSet))
    return undefined
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    return UNKNOWN.test(error.problem.message) ? undefined : error.problem.message
  }
}

/** As the StatefulSet's controller would make it, under a name of its own. */
function podOf({ cluster }: Observed, { object }: ObservedStatefulSet): Parameters<KubeReader['tryCreate']>[0] {
  const { metadata, spec } = Template.parse(Object(object['spec']).template)
  const claim = { name: VOLUME, persistentVolumeClaim: { claimName: names.volume(cluster, 0) } }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, name: `${names.statefulSet(cluster)}-trial`, namespace: cluster.namespace },
    spec: { ...spec, volumes: [...spec.volumes, claim] },
  }
}
