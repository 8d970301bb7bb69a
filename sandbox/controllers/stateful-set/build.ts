/** The pods and claims of a StatefulSet. Pure. */
import type { NewObject, OwnerReference, StoredObject } from '../../client/object.ts'
import { controlledBy, isRecord } from '../../client/object.ts'
import type { StatefulSet, Template } from './model.ts'

export function podName(set: StatefulSet, ordinal: number): string {
  return `${set.object.metadata.name}-${ordinal}`
}

export function claimName(template: string, pod: string): string {
  return `${template}-${pod}`
}

/** Labels that tell a pod's place in its set. */
function identityLabels(set: StatefulSet, ordinal: number): Record<string, string> {
  return {
    'statefulset.kubernetes.io/pod-name': podName(set, ordinal),
    'apps.kubernetes.io/pod-index': String(ordinal),
  }
}

export function newPod(set: StatefulSet, template: Template, revision: string, ordinal: number): NewObject {
  const name = podName(set, ordinal)
  const claims = set.spec.volumeClaimTemplates.map(({ metadata }) => ({
    name: metadata.name,
    persistentVolumeClaim: { claimName: claimName(metadata.name, name) },
  }))
  const claimed = new Set(claims.map((volume) => volume.name))
  const volumes: readonly unknown[] = Array.isArray(template.spec['volumes']) ? template.spec['volumes'] : []
  const others = volumes.filter((volume) => !isRecord(volume) || !claimed.has(String(volume['name'])))
  const { namespace } = set.object.metadata
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      labels: {
        ...template.metadata.labels,
        ...identityLabels(set, ordinal),
        'controller-revision-hash': revision,
      },
      annotations: template.metadata.annotations,
      ownerReferences: controlledBy(set.object),
    },
    spec: {
      ...template.spec,
      hostname: name,
      ...(set.spec.serviceName !== '' && { subdomain: set.spec.serviceName }),
      volumes: [...claims, ...others],
    },
  }
}

export function newClaims(set: StatefulSet, ordinal: number): readonly NewObject[] {
  const { namespace } = set.object.metadata
  const owners = claimOwners(set, undefined)
  return set.spec.volumeClaimTemplates.map(({ metadata, spec }) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: claimName(metadata.name, podName(set, ordinal)),
      ...(namespace !== undefined && { namespace }),
      labels: { ...metadata.labels, ...set.spec.selector.matchLabels },
      annotations: metadata.annotations,
      ...(owners.length > 0 && { ownerReferences: owners }),
    },
    spec,
  }))
}

/**
 * Who a claim goes with: the set, where claims are deleted with it; its pod, where the set is scaled below it
 * (`condemned`) and claims are deleted then.
 */
export function claimOwners(set: StatefulSet, condemned: StoredObject | undefined): readonly OwnerReference[] {
  const { whenDeleted, whenScaled } = set.spec.persistentVolumeClaimRetentionPolicy
  if (whenScaled === 'Delete' && condemned !== undefined) return controlledBy(condemned)
  return whenDeleted === 'Delete' ? controlledBy(set.object) : []
}
