/** What the server fills in of a pod, and of every template of one. Source: Kubernetes API reference, PodSpec. */
import { isObject, listAt, objectAt, textAt, type Json, type JsonObject } from '../../object.ts'

const FILE_MODE = 0o644
const TOKEN_LIFETIME_SECONDS = 3600

/** Sets what is missing. */
export function fill(object: JsonObject, values: JsonObject): void {
  for (const [name, value] of Object.entries(values)) object[name] ??= structuredClone(value)
}

export function defaultPodSpec(spec: JsonObject): void {
  fill(spec, {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
  })
  if (typeof spec['serviceAccountName'] === 'string') fill(spec, { serviceAccount: spec['serviceAccountName'] })
  for (const name of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const container of listAt(spec, name).filter(isObject)) defaultContainer(container)
  }
  for (const volume of listAt(spec, 'volumes').filter(isObject)) defaultVolume(volume)
}

function defaultContainer(container: JsonObject): void {
  const image = textAt(container, 'image')
  const tag = /:([^/:@]+)$/.exec(image.split('@')[0] ?? '')?.[1]
  const isMoving = !image.includes('@') && (tag === undefined || tag === 'latest')
  fill(container, {
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: isMoving ? 'Always' : 'IfNotPresent',
    resources: {},
  })
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = container[name]
    if (!isObject(probe)) continue
    fill(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 })
    defaultHandler(probe)
  }
  for (const name of ['postStart', 'preStop']) defaultHandler(objectAt(container, 'lifecycle', name))
  for (const port of listAt(container, 'ports').filter(isObject)) fill(port, { protocol: 'TCP' })
  for (const variable of listAt(container, 'env').filter(isObject)) {
    const field = objectAt(variable, 'valueFrom', 'fieldRef')
    if (Object.keys(field).length > 0) fill(field, { apiVersion: 'v1' })
  }
  defaultRequests(container)
}

function defaultHandler(handler: JsonObject): void {
  const get = handler['httpGet']
  if (isObject(get)) fill(get, { path: '/', scheme: 'HTTP' })
  const grpc = handler['grpc']
  if (isObject(grpc)) fill(grpc, { service: '' })
}

/** What is limited is requested, unless something else is. */
function defaultRequests(container: JsonObject): void {
  const resources = objectAt(container, 'resources')
  const limits = objectAt(resources, 'limits')
  if (Object.keys(limits).length === 0) return
  const requests = objectAt(resources, 'requests')
  fill(requests, limits)
  resources['requests'] = requests
}

const SOURCES_WITH_MODE = ['secret', 'configMap', 'projected', 'downwardAPI']

function defaultVolume(volume: JsonObject): void {
  if (Object.keys(volume).every((name) => name === 'name')) volume['emptyDir'] = {}
  for (const name of SOURCES_WITH_MODE) {
    const source = volume[name]
    if (isObject(source)) fill(source, { defaultMode: FILE_MODE })
  }
  const hostPath = volume['hostPath']
  if (isObject(hostPath)) fill(hostPath, { type: '' })
  for (const source of listAt(volume, 'projected', 'sources')) {
    const token = objectAt(source, 'serviceAccountToken')
    if (Object.keys(token).length > 0) fill(token, { expirationSeconds: TOKEN_LIFETIME_SECONDS })
  }
  for (const item of [...listAt(volume, 'downwardAPI', 'items'), ...projectedItems(volume)]) {
    const field = objectAt(item, 'fieldRef')
    if (Object.keys(field).length > 0) fill(field, { apiVersion: 'v1' })
  }
}

function projectedItems(volume: JsonObject): readonly Json[] {
  return listAt(volume, 'projected', 'sources').flatMap((source) => listAt(source, 'downwardAPI', 'items'))
}
