/**
 * Reads what there is of a RaftCluster: its objects, its pods and what their members say. I/O, but no decision. No call
 * that fails ends the look: what it did not tell is named in `unread`.
 */
import { z } from 'zod'
import { CONTAINER } from '../api/owned.ts'
import type { Result } from '../../lib/result.ts'
import { err, ok } from '../../lib/result.ts'
import type { RestoreSource } from '../api/bootstrap.ts'
import { BACKUP_KIND, parseRaftBackup } from '../api/raft-backup.ts'
import { API_VERSION, parseRaftCluster, type RaftCluster } from '../api/raft-cluster.ts'
import { SIDES } from '../api/tls.ts'
import { contains } from './contains.ts'
import { contradictionIn } from './contradiction.ts'
import { membershipOf } from './membership.ts'
import { podTrouble, PodStatus } from './pod-trouble.ts'
import { awaitsRestore } from './observed.ts'
import type {
  Observed,
  ObservedObjects,
  ObservedPod,
  ObservedRestore,
  ObservedStatefulSet,
  ObservedVolume,
  Stuck,
  Unread,
} from './observed.ts'
import { type AdminClient, type AdminIdentity, KubeError, type KubeObject, type ReconcileDeps } from './ports.ts'
import { tokenIn } from './resources/admin-token.ts'
import {
  claimMarks,
  CLUSTER_ID_ANNOTATION,
  CLUSTER_UID_LABEL,
  ROLLOUT_RESTART_ANNOTATION,
  TEMPLATE_HASH_ANNOTATION,
  controllerOf,
  FORM_ANNOTATION,
  hostName,
  labelsText,
  names,
  ordinalOf,
  selectorText,
  VOLUME,
  volumeRef,
} from './resources/names.ts'
import { AUTHORITY_OF, BUNDLE_FILE, SECRETS_OF, serverName, TLS_FILES } from './tls/leaves.ts'
import { advertisedScheme, isInUse, usesCertManager } from './tls/scheme.ts'
import { pairIn, textIn } from './tls/secrets.ts'
import { wantedLeaves } from './tls/wanted.ts'
import { CERTIFICATE, certificateName } from './resources/certificate.ts'
import { restoreLabels } from './resources/restore-job.ts'
import { jobEnd, toolPod, wordsOf } from './tool-jobs.ts'
import { templateRefusal } from './trial.ts'
import { type Login, observeUsers } from './observe-users.ts'
import { lastWarning } from './warnings.ts'

export type Observation =
  | { readonly kind: 'invalid'; readonly object: KubeObject; readonly message: string }
  | {
      readonly kind: 'observed'
      readonly object: KubeObject
      readonly observed: Observed
      /** Of the admin API. */
      readonly token: string
      /** Undefined where there is nothing to change. */
      readonly login: Login | undefined
      /** With what this cluster's members are to be shown. */
      readonly admin: AdminClient
    }

/** A volume may take this long to be attached before it is asked why. */
const ATTACH_MS = 10_000

/** Time that whatever is being deleted has beside its own, before it counts as stuck. */
const STUCK_MS = 30_000

/** A member that does not answer in this time counts as not answering. */
const MEMBER_TIMEOUT_MS = 1_500

export async function observe(deps: ReconcileDeps, object: KubeObject): Promise<Observation> {
  const parsed = parseRaftCluster(object)
  if (!parsed.ok) return { kind: 'invalid', object, message: parsed.error }
  return observeCluster(deps, object, parsed.value)
}

async function observeCluster(deps: ReconcileDeps, object: KubeObject, cluster: RaftCluster): Promise<Observation> {
  const reading = readingFrom(deps, cluster)
  const [{ token, ...objects }, podObjects, volumes] = await Promise.all([
    readObjects(reading, cluster),
    reading.list('Pod', podOf),
    readVolumes(reading, cluster, deps.nowMs()),
  ])
  const owner = objects.statefulSet?.uid
  const identity = identityOf(cluster, objects.tls.get('operatorTls'))
  const admin = identity === undefined ? deps.admin : deps.admin.secured(identity)
  const users = identity === undefined ? deps.users : deps.users.secured(identity)
  const ownPods = podObjects.filter(({ metadata, controller }) => isOwnPod(cluster, owner, metadata, controller))
  const pods = byOrdinal(await Promise.all(ownPods.map((pod) => readPod(deps, cluster, admin, pod))))
  const words = await readWords(deps, objects.statefulSet, [...pods.values()], volumes, cluster)
  // Those of a StatefulSet that was deleted go by themselves.
  const foreignPods = podObjects.filter(
    ({ metadata, controller }) =>
      owner !== undefined && ![undefined, owner].includes(controller) && metadata.deletionTimestamp === undefined,
  )
  const observed: Observed = {
    nowMs: deps.nowMs(),
    cluster,
    defaultImage: deps.defaultImage,
    operatorPods: deps.operatorPods,
    forms: deps.forms,
    objects,
    pods: words.pods,
    creationRefusal: words.creationRefusal,
    templateRefusal: undefined,
    volumes: words.volumes,
    foreignPods: foreignPods.map(({ metadata }) => metadata.name),
    foreignVolumes: new Map(volumes.flatMap(({ foreign }) => (foreign === undefined ? [] : [foreign]))),
    membership: membershipOf(cluster, pods.values()),
    users: undefined,
    usersProblem: undefined,
    restore: undefined,
    unread: reading.unread,
  }
  const [sources, refusal, restore, { login, ...seenUsers }] = await Promise.all([
    readSources(reading, observed),
    templateRefusal(deps.reader, observed),
    awaitsRestore(observed) ? readRestore(reading, cluster, deps.nowMs()) : undefined,
    observeUsers(deps, users, observed),
  ])
  return {
    kind: 'observed',
    object,
    observed: {
      ...observed,
      ...seenUsers,
      objects: { ...objects, ...sources },
      templateRefusal: refusal,
      restore,
    },
    token,
    login,
    admin,
  }
}

async function readRestore(reading: Reading, cluster: RaftCluster, nowMs: number): Promise<ObservedRestore> {
  const { backup: name = '', source } = cluster.spec.bootstrap?.restore ?? {}
  const asItIs = (object: KubeObject): KubeObject => object
  const [backup, job] = await Promise.all([
    source === undefined ? reading.get(API_VERSION, BACKUP_KIND, name, asItIs) : undefined,
    reading.get('batch/v1', 'Job', names.restoreJob(cluster), asItIs),
  ])
  // After the Job: the pod of one that has ended has ended.
  const pods = await reading.list('Pod', (pod) => toolPod(pod, nowMs), labelsText(restoreLabels(cluster)))
  return {
    source: source === undefined ? sourceOf(name, backup) : ok(source),
    job: job && { isForeign: controllerOf(job) !== cluster.uid, end: jobEnd(job), words: wordsOf(pods) },
  }
}

/** A backup counts here as it does everywhere: once it was read back. */
function sourceOf(name: string, object: KubeObject | undefined): Result<RestoreSource, string> {
  if (object === undefined)
    return err(`there is no RaftBackup ${name}: create it, or name the place in bootstrap.restore.source`)
  const parsed = parseRaftBackup(object)
  if (!parsed.ok) return err(`RaftBackup ${name}: ${parsed.error}`)
  const { spec, status } = parsed.value
  const isComplete = status.conditions.some(({ type, status: is }) => type === 'Complete' && is === 'True')
  if (!isComplete || status.name === undefined) return err(`RaftBackup ${name} is not complete`)
  return ok({ ...spec.destination, name: status.name })
}

/** Pods outlive their StatefulSet by the time that they take to stop: until then their members run, and hold their volumes. */
function isOwnPod(
  cluster: RaftCluster,
  statefulSetUid: string | undefined,
  metadata: KubeObject['metadata'],
  controllerUid: string | undefined,
): boolean {
  if (statefulSetUid !== undefined) return controllerUid === statefulSetUid
  const controller = metadata.ownerReferences?.find(({ uid }) => uid === controllerUid)
  return controller?.kind === 'StatefulSet' && controller.name === names.statefulSet(cluster)
}

/** Reads of one look. What fails, or is not what it should be, stands empty and is remembered with its error. */
interface Reading {
  readonly unread: readonly Unread[]
  get<T>(apiVersion: string, kind: string, name: string, decode: (object: KubeObject) => T): Promise<T | undefined>
  /** Ours, by label. */
  list<T>(kind: string, decode: (object: KubeObject) => T, labelSelector?: string): Promise<readonly T[]>
  /** Ours, by label; undefined where the API server does not know the kind. */
  listOf(type: Pick<KubeObject, 'apiVersion' | 'kind'>): Promise<readonly KubeObject[] | undefined>
}

function readingFrom({ reader }: ReconcileDeps, cluster: RaftCluster): Reading {
  const { namespace } = cluster
  const unread: Unread[] = []
  const attempt = async <T>(kind: string, name: string, empty: T, read: () => Promise<T>): Promise<T> => {
    try {
      return await read()
    } catch (error) {
      const problem = error instanceof z.ZodError ? malformed(error) : error
      if (!(problem instanceof KubeError)) throw error
      unread.push({ kind, name, error: problem })
      return empty
    }
  }
  return {
    unread,
    get: (apiVersion, kind, name, decode) =>
      attempt(kind, name, undefined, async () => {
        const object = await reader.get({ apiVersion, kind, namespace, name })
        return object === undefined ? undefined : decode(object)
      }),
    listOf: (type) =>
      attempt(type.kind, '', [], async () => {
        try {
          return await reader.list({ ...type, namespace, labelSelector: selectorText(cluster) })
        } catch (error) {
          if (error instanceof KubeError && error.problem.kind === 'not-found') return undefined
          throw error
        }
      }),
    list: (kind, decode, labelSelector = selectorText(cluster)) =>
      attempt(kind, '', [], async () => {
        const query = { apiVersion: 'v1', kind, namespace, labelSelector }
        return (await reader.list(query)).map(decode)
      }),
  }
}

function malformed(error: z.ZodError): KubeError {
  const [first] = error.issues
  const message = `the API server's answer is not what it should be: ${first?.path.join('.')}: ${first?.message}`
  return new KubeError({ kind: 'unavailable', message }, { cause: error })
}

async function readObjects(
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

/** Each by name, and only those of a side that has TLS. */
async function readTls(reading: Reading, cluster: RaftCluster): Promise<ObservedObjects['tls']> {
  const wanted = SIDES.filter((side) => isInUse(cluster, side)).flatMap((side) => [
    AUTHORITY_OF[side],
    ...SECRETS_OF[side],
  ])
  const found = await Promise.all(
    wanted.map(async (secret) => {
      const object = await reading.get('v1', 'Secret', names.tls(cluster, secret), (one) => one)
      return object === undefined ? [] : [[secret, object] as const]
    }),
  )
  return new Map(found.flat())
}

/** What others fill with certificates. */
async function readSources(
  reading: Reading,
  observed: Observed,
): Promise<Pick<ObservedObjects, 'sources' | 'certificates'>> {
  const { cluster } = observed
  const wanted = SIDES.flatMap((side) => {
    const { mode, secretRef } = cluster.spec.tls[side]
    if (mode === 'Secret') return secretRef?.name ?? []
    return mode === 'CertManager'
      ? wantedLeaves(observed, side).map((request) => certificateName(cluster, request))
      : []
  })
  const read = async (name: string): Promise<readonly (readonly [string, KubeObject])[]> => {
    const object = await reading.get('v1', 'Secret', name, (one) => one)
    return object === undefined ? [] : [[name, object]]
  }
  const [certificates, ...secrets] = await Promise.all([
    SIDES.some((side) => usesCertManager(cluster, side)) ? readCertificates(reading) : new Map<string, KubeObject>(),
    ...[...new Set(wanted)].map(read),
  ])
  return { sources: new Map(secrets.flat()), certificates }
}

async function readCertificates(reading: Reading): Promise<ReadonlyMap<string, KubeObject> | undefined> {
  const found = await reading.listOf(CERTIFICATE)
  return found && new Map(found.map((object) => [object.metadata.name, object]))
}

/** Without a certificate of its own it calls all the same, and is refused where one is asked for. */
function identityOf(cluster: RaftCluster, secret: KubeObject | undefined): AdminIdentity | undefined {
  const pair = pairIn(secret, TLS_FILES)
  if (pair === undefined) return undefined
  return {
    trusted: textIn(secret, BUNDLE_FILE),
    certificate: pair.certificate.pem,
    key: pair.key,
    serverName: serverName(cluster),
  }
}

interface FoundVolume {
  readonly name: string
  readonly ours: ObservedVolume | undefined
  readonly foreign: readonly [ordinal: number, name: string] | undefined
}

/** Ours by label, and whatever else has a name that the StatefulSet is about to use: it would take that over. */
async function readVolumes(reading: Reading, cluster: RaftCluster, nowMs: number): Promise<readonly FoundVolume[]> {
  const decode = (object: KubeObject): FoundVolume => foundVolume(cluster, object, nowMs)
  const labelled = await reading.list('PersistentVolumeClaim', decode)
  const found = new Set(labelled.map(({ name }) => name))
  const wanted = Array.from({ length: cluster.spec.replicas }, (_, ordinal) => names.volume(cluster, ordinal))
  const { apiVersion, kind } = volumeRef(cluster, '')
  const others = await Promise.all(
    wanted.filter((name) => !found.has(name)).map((name) => reading.get(apiVersion, kind, name, decode)),
  )
  return [...labelled, ...others.filter((volume) => volume !== undefined)]
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

/** Whoever writes anything else there by hand means nothing by it. */
function formOf(text = ''): number {
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : 1
}

const Pod = z.object({ status: PodStatus.prefault({}) })

interface FoundPod {
  readonly metadata: KubeObject['metadata']
  readonly controller: string | undefined
  readonly status: PodStatus
}

function podOf(object: KubeObject): FoundPod {
  return { metadata: object.metadata, controller: controllerOf(object), status: Pod.parse(object).status }
}

async function readPod(
  deps: ReconcileDeps,
  cluster: RaftCluster,
  admin: AdminClient,
  { metadata, status }: FoundPod,
): Promise<ObservedPod | undefined> {
  const ordinal = ordinalOf(cluster.name, metadata.name)
  if (ordinal === undefined) return undefined
  const { phase, podIP, conditions } = status
  const target = podIP === undefined || phase !== 'Running' ? undefined : { podIP, podName: metadata.name }
  const scheme = advertisedScheme(cluster, 'client')
  const place = target && { ...target, hostName: hostName(cluster, ordinal), scheme }
  const adminUrl = place && deps.adminUrl(place)
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(MEMBER_TIMEOUT_MS)])
  const answer = adminUrl === undefined ? undefined : await admin.status(adminUrl, signal)
  const ready = conditions.find(({ type, status }) => type === 'Ready' && status === 'True')
  const given = answer?.ok === true ? answer.value : undefined
  const contradiction = given && contradictionIn(given)
  return {
    ordinal,
    name: metadata.name,
    uid: metadata.uid ?? '',
    isTerminating: metadata.deletionTimestamp !== undefined,
    stuck: stuckOf(metadata, deps.nowMs()),
    isReady: ready !== undefined,
    readySinceMs: ready && Date.parse(ready.lastTransitionTime ?? '1970-01-01T00:00:00Z'),
    isRunning: isRunning(status),
    templateHash: metadata.annotations?.[TEMPLATE_HASH_ANNOTATION],
    restartedAt: metadata.annotations?.[ROLLOUT_RESTART_ANNOTATION],
    trouble: podTrouble(status, deps.nowMs()),
    adminUrl,
    clientUrl: place && deps.clientUrl(place),
    status: contradiction === undefined ? given : undefined,
    contradiction,
  }
}

function isRunning({ phase, containerStatuses }: PodStatus): boolean {
  if (phase !== 'Running') return false
  return containerStatuses.length === 0 || containerStatuses.some(({ state }) => state.running !== undefined)
}

const Volume = z.object({
  spec: z.object({ resources: z.object({ requests: z.record(z.string(), z.string()).default({}) }).prefault({}) }),
  status: z
    .object({ capacity: z.record(z.string(), z.string()).default({}), phase: z.string().default('') })
    .prefault({}),
})

function foundVolume(cluster: RaftCluster, object: KubeObject, nowMs: number): FoundVolume {
  const { name } = object.metadata
  const ordinal = ordinalOf(`${VOLUME}-${cluster.name}`, name)
  if (ordinal === undefined) return { name, ours: undefined, foreign: undefined }
  if (!hasDataOf(cluster, object)) return { name, ours: undefined, foreign: [ordinal, name] }
  return { name, ours: volumeOf(cluster, ordinal, object, nowMs), foreign: undefined }
}

/** A pod's time of deletion is when its time to stop is over. */
function stuckOf({ deletionTimestamp, finalizers = [] }: KubeObject['metadata'], nowMs: number): Stuck | undefined {
  const sinceMs = Date.parse(deletionTimestamp ?? '')
  return nowMs - sinceMs >= STUCK_MS ? { sinceMs, finalizers } : undefined
}

function volumeOf(cluster: RaftCluster, ordinal: number, object: KubeObject, nowMs: number): ObservedVolume {
  const { spec, status } = Volume.parse(object)
  return {
    ordinal,
    name: object.metadata.name,
    uid: object.metadata.uid ?? '',
    isTerminating: object.metadata.deletionTimestamp !== undefined,
    stuck: stuckOf(object.metadata, nowMs),
    isOwned: object.metadata.ownerReferences?.some(({ uid }) => uid === cluster.uid) ?? false,
    isMarked: contains(object.metadata, claimMarks(cluster)),
    requestedSize: spec.resources.requests['storage'],
    capacity: status.capacity['storage'],
    phase: status.phase,
    refusal: undefined,
  }
}

/** What its controller, the provisioner and the kubelet say where pods or volumes are missing. */
async function readWords(
  { reader, nowMs }: ReconcileDeps,
  statefulSet: ObservedStatefulSet | undefined,
  pods: readonly ObservedPod[],
  volumes: readonly FoundVolume[],
  { namespace }: RaftCluster,
): Promise<Pick<Observed, 'creationRefusal' | 'pods' | 'volumes'>> {
  const isPodMissing = statefulSet !== undefined && pods.length < statefulSet.podCount
  const about = (uid: string): { namespace: string; uid: string } => ({ namespace, uid })
  const [creationRefusal, toldPods, toldVolumes] = await Promise.all([
    isPodMissing ? lastWarning(reader, about(statefulSet.uid), ['FailedCreate'], ['SuccessfulCreate']) : undefined,
    Promise.all(
      pods.map(async (pod) => {
        if (pod.trouble?.kind !== 'volume' || !(nowMs() - pod.trouble.sinceMs >= ATTACH_MS)) return pod
        const message = await lastWarning(reader, about(pod.uid), ['FailedAttachVolume', 'FailedMount'])
        return message === undefined ? pod : { ...pod, trouble: { ...pod.trouble, message } }
      }),
    ),
    Promise.all(
      volumes.map(async ({ ours }) => {
        if (ours?.phase !== 'Pending') return ours
        return { ...ours, refusal: await lastWarning(reader, about(ours.uid), ['ProvisioningFailed']) }
      }),
    ),
  ])
  return { creationRefusal, pods: byOrdinal(toldPods), volumes: byOrdinal(toldVolumes) }
}

/** By the RaftCluster that it was made for, or by the cluster's own ID, which a restored RaftCluster still has. */
function hasDataOf({ uid, recorded }: RaftCluster, { metadata }: KubeObject): boolean {
  if (metadata.labels?.[CLUSTER_UID_LABEL] === uid) return true
  return recorded.clusterID !== '' && metadata.annotations?.[CLUSTER_ID_ANNOTATION] === recorded.clusterID
}

function byOrdinal<Item extends { readonly ordinal: number }>(
  items: readonly (Item | undefined)[],
): ReadonlyMap<number, Item> {
  return new Map(items.flatMap((item) => (item === undefined ? [] : [[item.ordinal, item] as const])))
}
