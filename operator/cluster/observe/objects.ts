/** Reads the objects that a RaftCluster is made of, its volumes and pods apart. */
import { z } from 'zod'
import { CONTAINER } from '../../api/owned.ts'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { ObservedObjects, ObservedStatefulSet } from '../observed.ts'
import type { KubeObject } from '../ports.ts'
import { tokenIn } from '../resources/admin-token.ts'
import { FORM_ANNOTATION, names, ROLLOUT_RESTART_ANNOTATION, TEMPLATE_HASH_ANNOTATION } from '../resources/names.ts'
import type { Reading } from './reading.ts'
import { readTls } from './tls.ts'

export async function readObjects(
  reading: Reading,
  cluster: RaftCluster,
): Promise<ObservedObjects & { readonly token: string }> {
  const asItIs = (object: KubeObject): KubeObject => object
  const [serviceAccount, headlessService, clientService, disruptionBudget, networkPolicy, secret, statefulSet, tls] =
    await Promise.all([
      reading.get('v1', 'ServiceAccount', names.serviceAccount(cluster), asItIs),
      reading.get('v1', 'Service', names.headlessService(cluster), asItIs),
      reading.get('v1', 'Service', names.clientService(cluster), asItIs),
      reading.get('policy/v1', 'PodDisruptionBudget', names.disruptionBudget(cluster), asItIs),
      reading.get('networking.k8s.io/v1', 'NetworkPolicy', names.networkPolicy(cluster), asItIs),
      reading.get('v1', 'Secret', names.adminToken(cluster), (object) => ({ object, token: tokenIn(object) })),
      reading.get('apps/v1', 'StatefulSet', names.statefulSet(cluster), statefulSetOf),
      readTls(reading, cluster),
    ])
  // Without a token members refuse changes, and the operation is repeated.
  const token = secret?.token ?? ''
  const adminToken = secret?.object
  const services = { headlessService, clientService }
  const none = { sources: new Map(), certificates: new Map() }
  return { serviceAccount, ...services, disruptionBudget, networkPolicy, adminToken, tls, ...none, statefulSet, token }
}

/** What one may say in a template; an API server adds more, which it does not take back. */
const ClaimMeta = z.object({
  name: z.string(),
  labels: z.record(z.string(), z.string()).exactOptional(),
  annotations: z.record(z.string(), z.string()).exactOptional(),
})

const ContainerImage = z.object({ name: z.string().optional(), image: z.string().optional() })

const StatefulSet = z.object({
  spec: z.object({
    replicas: z.number().default(1),
    ordinals: z.object({ start: z.number().default(0) }).prefault({}),
    volumeClaimTemplates: z
      .array(z.object({ metadata: ClaimMeta, spec: z.record(z.string(), z.unknown()) }))
      .default([]),
    template: z
      .object({
        metadata: z.object({ annotations: z.record(z.string(), z.string()).default({}) }).prefault({}),
        spec: z.object({ containers: z.array(ContainerImage).default([]) }).prefault({}),
      })
      .prefault({}),
  }),
  status: z.object({ updateRevision: z.string().optional(), observedGeneration: z.number().default(0) }).prefault({}),
})

function statefulSetOf(object: KubeObject): ObservedStatefulSet {
  const { spec, status } = StatefulSet.parse(object)
  const { annotations } = spec.template.metadata
  return {
    object,
    uid: object.metadata.uid ?? '',
    endOrdinal: spec.ordinals.start + spec.replicas,
    podCount: spec.replicas,
    claimTemplate: spec.volumeClaimTemplates[0],
    updateRevision: status.updateRevision,
    image: spec.template.spec.containers.find(({ name }) => name === CONTAINER)?.image,
    form: formOf(annotations[FORM_ANNOTATION]),
    templateHash: annotations[TEMPLATE_HASH_ANNOTATION],
    restartedAt: annotations[ROLLOUT_RESTART_ANNOTATION],
    isObserved: status.observedGeneration >= (object.metadata.generation ?? 0),
  }
}

/** Anything else there was written by hand and has no meaning. */
function formOf(text = ''): number {
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : 1
}
