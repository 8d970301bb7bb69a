/**
 * Volumes as directories: a claim's own one, an empty one, or one with a file for each key of a Secret, a ConfigMap, the
 * downward API or a service account token. What changes later in a Secret or a ConfigMap is written again while the pod runs.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { err, ok, type Result } from '../../lib/result.ts'
import type { ApiClient } from '../client/client.ts'
import { isRecord } from '../client/object.ts'
import type { Resource } from '../client/resource.ts'
import { RESOURCES } from '../client/resource.ts'
import type { PodFacts, Sources } from './environment.ts'
import { fieldOf } from './environment.ts'
import type { Pod, Volume, VolumeSource } from './pod.ts'
import { writeTogether } from './write-together.ts'

const Claim = z.object({
  spec: z.object({ volumeName: z.string().default('') }),
  status: z.object({ phase: z.string().default('Pending') }).prefault({}),
})
const PersistentVolume = z.object({
  spec: z.object({
    hostPath: z.object({ path: z.string() }).optional(),
    local: z.object({ path: z.string() }).optional(),
  }),
})
const Token = z.object({ status: z.object({ token: z.string() }) })

export interface MountContext {
  readonly client: ApiClient
  readonly pod: Pod
  readonly facts: PodFacts
  readonly sources: Sources
  /** The pod's own directory. */
  readonly directory: string
}

/** Directory of each volume by its name; the error says what is missing, and a new try may find it. */
export async function mountVolumes(context: MountContext): Promise<Result<ReadonlyMap<string, string>, string>> {
  const directories = new Map<string, string>()
  for (const volume of context.pod.spec.volumes) {
    const directory = await mount(context, volume)
    if (!directory.ok) return err(`volume "${volume.name}": ${directory.error}`)
    directories.set(volume.name, directory.value)
  }
  return ok(directories)
}

/** What a Secret or a ConfigMap says now; where one has gone, its files stay. */
export async function renewVolumes(context: MountContext): Promise<void> {
  for (const volume of context.pod.spec.volumes) {
    const sources = sourcesOf(volume)
    const isRenewed = sources.some(({ secret, configMap }) => secret !== undefined || configMap !== undefined)
    // A token is asked for once.
    if (!isRenewed || sources.some(({ serviceAccountToken }) => serviceAccountToken !== undefined)) continue
    const files = await filesOfAll(context, sources)
    if (files.ok) writeTogether(directoryOf(context, volume), files.value)
  }
}

function directoryOf({ directory }: MountContext, { name }: Volume): string {
  return join(directory, 'volumes', name)
}

function sourcesOf({ secret, configMap, downwardAPI, projected }: Volume): readonly VolumeSource[] {
  return (
    projected?.sources ?? [
      {
        ...(secret !== undefined && { secret: { ...secret, name: secret.secretName } }),
        ...(configMap !== undefined && { configMap }),
        ...(downwardAPI !== undefined && { downwardAPI }),
      },
    ]
  )
}

async function mount(context: MountContext, volume: Volume): Promise<Result<string, string>> {
  const directory = directoryOf(context, volume)
  if (volume.persistentVolumeClaim !== undefined) return claimDirectory(context, volume.persistentVolumeClaim.claimName)
  if (volume.hostPath !== undefined) return ok(volume.hostPath.path)
  const files = await filesOfAll(context, sourcesOf(volume))
  if (!files.ok) return files
  // An emptyDir keeps what is in it as long as the pod lives, whatever ends in between.
  if (volume.emptyDir !== undefined) mkdirSync(directory, { recursive: true, mode: 0o700 })
  else {
    rmSync(directory, { recursive: true, force: true })
    writeTogether(directory, files.value)
  }
  return ok(directory)
}

/** Later sources have the word about a path. */
async function filesOfAll(
  context: MountContext,
  sources: readonly VolumeSource[],
): Promise<Result<ReadonlyMap<string, string>, string>> {
  const files = new Map<string, string>()
  for (const source of sources) {
    const found = await filesOf(context, source)
    if (!found.ok) return found
    for (const [path, text] of found.value) files.set(path, text)
  }
  return ok(files)
}

async function claimDirectory({ client, pod }: MountContext, name: string): Promise<Result<string, string>> {
  const object = await client.get(RESOURCES.volumeClaims, { namespace: pod.namespace, name })
  if (object === undefined) return err(`persistentvolumeclaim "${name}" not found`)
  if (object.metadata.deletionTimestamp !== undefined) return err(`persistentvolumeclaim "${name}" is being deleted`)
  const { spec, status } = Claim.parse(object)
  if (status.phase !== 'Bound') return err(`persistentvolumeclaim "${name}" is not bound`)
  const volume = await client.get(RESOURCES.volumes, { namespace: undefined, name: spec.volumeName })
  const { hostPath, local } = PersistentVolume.parse(volume ?? { spec: {} }).spec
  const path = hostPath?.path ?? local?.path
  if (path === undefined) return err(`persistentvolume "${spec.volumeName}" is no directory`)
  mkdirSync(path, { recursive: true, mode: 0o700 })
  return ok(path)
}

/** Values are bytes, one character each. */
async function filesOf(
  context: MountContext,
  source: VolumeSource,
): Promise<Result<readonly (readonly [string, string])[], string>> {
  const { pod, facts, sources } = context
  const { secret, configMap, downwardAPI, serviceAccountToken } = source
  const reference = secret ?? configMap
  if (reference !== undefined) {
    const data = secret === undefined ? sources.configMap(reference.name) : sources.secret(reference.name)
    if (data === undefined) {
      const kind = secret === undefined ? 'configmap' : 'secret'
      return reference.optional ? ok([]) : err(`${kind} "${reference.name}" not found`)
    }
    const { items } = reference
    if (items === undefined) return ok(Object.entries(data))
    const missing = items.find(({ key }) => data[key] === undefined)
    if (missing !== undefined && !reference.optional) return err(`"${reference.name}" has no key ${missing.key}`)
    return ok(items.flatMap(({ key, path }) => (data[key] === undefined ? [] : [[path, data[key]] as const])))
  }
  if (downwardAPI !== undefined) {
    const files: (readonly [string, string])[] = []
    for (const { path, fieldRef } of downwardAPI.items) {
      const value = fieldOf(pod, fieldRef?.fieldPath ?? '', facts)
      if (!value.ok) return value
      files.push([path, value.value])
    }
    return ok(files)
  }
  if (serviceAccountToken !== undefined) return token(context, serviceAccountToken)
  return ok([])
}

async function token(
  { client, pod }: MountContext,
  wanted: NonNullable<VolumeSource['serviceAccountToken']>,
): Promise<Result<readonly (readonly [string, string])[], string>> {
  const request = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      audiences: wanted.audience === undefined ? [] : [wanted.audience],
      expirationSeconds: wanted.expirationSeconds,
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.name, uid: pod.uid },
    },
  }
  const account = { namespace: pod.namespace, name: pod.spec.serviceAccountName }
  const answer = Token.safeParse(await client.post(RESOURCES.serviceAccounts, account, 'token', request))
  return answer.success ? ok([[wanted.path, answer.data.status.token]]) : err('the API server gave no token')
}

/** Reads every Secret and ConfigMap that the pod names, once. */
export async function readSources(client: ApiClient, pod: Pod): Promise<Sources> {
  const names = namesOf(pod)
  const read = async (
    resource: Resource,
    wanted: ReadonlySet<string>,
  ): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> => {
    const found = new Map<string, Readonly<Record<string, string>>>()
    for (const name of wanted) {
      const object = await client.get(resource, { namespace: pod.namespace, name })
      if (object === undefined) continue
      const isSecret = resource === RESOURCES.secrets
      const encoded = isSecret ? object['data'] : object['binaryData']
      found.set(name, { ...texts(isSecret ? {} : object['data'], 'utf8'), ...texts(encoded, 'base64') })
    }
    return found
  }
  const [secrets, configMaps] = await Promise.all([
    read(RESOURCES.secrets, names.secrets),
    read(RESOURCES.configMaps, names.configMaps),
  ])
  return { secret: (name) => secrets.get(name), configMap: (name) => configMaps.get(name) }
}

function texts(data: unknown, encoding: 'utf8' | 'base64'): Readonly<Record<string, string>> {
  if (!isRecord(data)) return {}
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(String(value), encoding).toString('latin1')]),
  )
}

function namesOf({ spec }: Pod): { readonly secrets: ReadonlySet<string>; readonly configMaps: ReadonlySet<string> } {
  const secrets = new Set<string>()
  const configMaps = new Set<string>()
  for (const { env, envFrom } of [...spec.initContainers, ...spec.containers]) {
    for (const { valueFrom } of env) {
      if (valueFrom?.secretKeyRef !== undefined) secrets.add(valueFrom.secretKeyRef.name)
      if (valueFrom?.configMapKeyRef !== undefined) configMaps.add(valueFrom.configMapKeyRef.name)
    }
    for (const { secretRef, configMapRef } of envFrom) {
      if (secretRef !== undefined) secrets.add(secretRef.name)
      if (configMapRef !== undefined) configMaps.add(configMapRef.name)
    }
  }
  for (const volume of spec.volumes) {
    if (volume.secret !== undefined) secrets.add(volume.secret.secretName)
    if (volume.configMap !== undefined) configMaps.add(volume.configMap.name)
    for (const { secret, configMap } of volume.projected?.sources ?? []) {
      if (secret !== undefined) secrets.add(secret.name)
      if (configMap !== undefined) configMaps.add(configMap.name)
    }
  }
  return { secrets, configMaps }
}
