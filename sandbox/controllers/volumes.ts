/**
 * Persistent volumes as directories on this machine: a claim gets a volume of its own at once, whatever its storage
 * class; a directory has no limit, so a claim that asks for more has it at once; a claim in use by a pod is protected
 * from deletion; with the claim go its volume and the directory (reclaim policy Delete).
 *
 * Invariant: a directory is removed only after the API server has said that its claim, known by UID, is gone.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { NewObject, StoredObject } from '../client/object.ts'
import { keyOf, parseKey } from '../client/object.ts'
import { RESOURCES } from '../client/resource.ts'
import type { Loop, Sandbox } from './loop.ts'
import { startLoop } from './loop.ts'

export const STORAGE_CLASS = 'sandbox'
const PROTECTION = 'kubernetes.io/pvc-protection'
const PROVISIONER = 'sandbox.raftkv.dev/directory'

const Claim = z.object({
  spec: z.object({
    accessModes: z.array(z.string()).default([]),
    storageClassName: z.string().optional(),
    volumeName: z.string().default(''),
    resources: z.object({ requests: z.record(z.string(), z.string()).default({}) }).prefault({}),
  }),
  status: z
    .object({ phase: z.string().default('Pending'), capacity: z.record(z.string(), z.string()).default({}) })
    .prefault({}),
})

const Volume = z.object({
  spec: z.object({
    claimRef: z.object({ namespace: z.string(), name: z.string(), uid: z.string() }).optional(),
    hostPath: z.object({ path: z.string() }).optional(),
  }),
  status: z.object({ phase: z.string().default('Pending') }).prefault({}),
})

const PodVolumes = z.object({
  spec: z.object({
    volumes: z.array(z.object({ persistentVolumeClaim: z.object({ claimName: z.string() }).optional() })).default([]),
  }),
  status: z.object({ phase: z.string().default('Pending') }).prefault({}),
})

/** Pods that keep a claim from going: all but those that have ended. */
export function isClaimInUse(claim: string, pods: readonly StoredObject[]): boolean {
  return pods.some((pod) => {
    const { spec, status } = PodVolumes.parse(pod)
    if (status.phase === 'Succeeded' || status.phase === 'Failed') return false
    return spec.volumes.some((volume) => volume.persistentVolumeClaim?.claimName === claim)
  })
}

export async function startVolumes(sandbox: Sandbox, directory: string): Promise<readonly Loop[]> {
  const { client, mirrors } = sandbox
  const [claims, volumes, pods] = [RESOURCES.volumeClaims, RESOURCES.volumes, RESOURCES.pods].map((resource) =>
    mirrors.of(resource),
  )
  if (claims === undefined || volumes === undefined || pods === undefined) return []
  await client.createIfMissing(RESOURCES.storageClasses, storageClass())
  await Promise.all([claims.synced, volumes.synced, pods.synced])
  const claimLoop = startLoop(sandbox, {
    name: 'volume-claim',
    reconcile: async (key) => reconcileClaim(sandbox, directory, key),
    keys: () => [...claims.values()].map(keyOf),
  })
  const volumeLoop = startLoop(sandbox, {
    name: 'volume',
    reconcile: async (key) => reconcileVolume(sandbox, directory, key),
    keys: () => [...volumes.values()].map(keyOf),
  })
  claims.onChange((claim, isGone) => {
    if (!isGone) return claimLoop.enqueue(keyOf(claim))
    volumeLoop.enqueue(volumeName(claim.metadata.uid))
  })
  volumes.onChange((volume, isGone) => isGone || volumeLoop.enqueue(keyOf(volume)))
  pods.onChange((pod) => {
    for (const { persistentVolumeClaim } of PodVolumes.parse(pod).spec.volumes) {
      if (persistentVolumeClaim !== undefined)
        claimLoop.enqueue(`${pod.metadata.namespace ?? ''}/${persistentVolumeClaim.claimName}`)
    }
  })
  return [claimLoop, volumeLoop]
}

async function reconcileClaim(sandbox: Sandbox, directory: string, key: string): Promise<undefined> {
  const { client, mirrors } = sandbox
  const object = mirrors.of(RESOURCES.volumeClaims).get(key)
  if (object === undefined) return undefined
  const { metadata } = object
  const ref = parseKey(key)
  const finalizers = metadata.finalizers ?? []
  if (metadata.deletionTimestamp !== undefined) {
    const pods = mirrors.of(RESOURCES.pods).inNamespace(metadata.namespace)
    if (!finalizers.includes(PROTECTION) || isClaimInUse(metadata.name, pods)) return undefined
    const rest = finalizers.filter((finalizer) => finalizer !== PROTECTION)
    const patch = { metadata: { resourceVersion: metadata.resourceVersion, finalizers: rest } }
    await client.patch(RESOURCES.volumeClaims, ref, patch)
    return undefined
  }
  const { spec, status } = Claim.parse(object)
  if (!finalizers.includes(PROTECTION) || spec.volumeName === '') {
    const patch = {
      metadata: { resourceVersion: metadata.resourceVersion, finalizers: [...new Set([...finalizers, PROTECTION])] },
      ...(spec.volumeName === '' && { spec: { volumeName: volumeName(metadata.uid) } }),
    }
    if (spec.volumeName === '') await provide(sandbox, directory, object)
    await client.patch(RESOURCES.volumeClaims, ref, patch)
    return undefined
  }
  const capacity = { storage: spec.resources.requests['storage'] ?? '1Gi' }
  if (status.phase === 'Bound' && status.capacity['storage'] === capacity.storage) return undefined
  const bound = { phase: 'Bound', accessModes: spec.accessModes, capacity }
  if (status.phase === 'Bound') {
    await client.patch(RESOURCES.volumes, { namespace: undefined, name: spec.volumeName }, { spec: { capacity } })
  }
  await client.patch(RESOURCES.volumeClaims, ref, { status: bound }, { subresource: 'status' })
  return undefined
}

/** The directory, then the volume that names it. */
async function provide({ client }: Sandbox, directory: string, claim: StoredObject): Promise<void> {
  const path = join(directory, volumeName(claim.metadata.uid))
  await mkdir(path, { recursive: true, mode: 0o700 })
  await client.createIfMissing(RESOURCES.volumes, newVolume(claim, path))
}

function newVolume(claim: StoredObject, path: string): NewObject {
  const { spec } = Claim.parse(claim)
  const { namespace, name, uid } = claim.metadata
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: volumeName(uid),
      annotations: { 'pv.kubernetes.io/provisioned-by': PROVISIONER },
    },
    spec: {
      accessModes: spec.accessModes,
      capacity: { storage: spec.resources.requests['storage'] ?? '1Gi' },
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
      hostPath: { path, type: 'DirectoryOrCreate' },
      persistentVolumeReclaimPolicy: 'Delete',
      storageClassName: spec.storageClassName ?? STORAGE_CLASS,
      volumeMode: 'Filesystem',
    },
  }
}

async function reconcileVolume(sandbox: Sandbox, directory: string, key: string): Promise<undefined> {
  const { client, mirrors } = sandbox
  const object = mirrors.of(RESOURCES.volumes).get(key)
  if (object === undefined) return undefined
  const { spec, status } = Volume.parse(object)
  const path = join(directory, object.metadata.name)
  // A volume that a person made elsewhere is that person's.
  if (spec.claimRef === undefined || spec.hostPath?.path !== path) return undefined
  const claim = await client.get(RESOURCES.volumeClaims, spec.claimRef)
  if (claim?.metadata.uid === spec.claimRef.uid) {
    if (status.phase !== 'Bound') await writePhase(sandbox, object, 'Bound')
    return undefined
  }
  const finalizers = object.metadata.finalizers ?? []
  await rm(path, { recursive: true, force: true })
  if (object.metadata.deletionTimestamp === undefined) {
    await client.delete(RESOURCES.volumes, parseKey(key), { uid: object.metadata.uid })
  }
  if (finalizers.length > 0) await client.patch(RESOURCES.volumes, parseKey(key), { metadata: { finalizers: null } })
  return undefined
}

async function writePhase({ client }: Sandbox, volume: StoredObject, phase: string): Promise<void> {
  const ref = { namespace: undefined, name: volume.metadata.name }
  await client.patch(RESOURCES.volumes, ref, { status: { phase } }, { subresource: 'status' })
}

function volumeName(claimUid: string): string {
  return `pvc-${claimUid}`
}

function storageClass(): NewObject {
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: STORAGE_CLASS, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: PROVISIONER,
    reclaimPolicy: 'Delete',
    allowVolumeExpansion: true,
    volumeBindingMode: 'Immediate',
  }
}
