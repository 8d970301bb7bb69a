/**
 * Controllers and kubelet against the sandbox's API server: what the operator relies on, with pods that are shell
 * commands. One cluster for all tests, a namespace for each.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import { startApiServer, type ApiServer } from '../../sandbox/api-server/main.ts'
import type { NewObject, StoredObject } from '../../sandbox/client/object.ts'
import { isRecord } from '../../sandbox/client/object.ts'
import { RESOURCES, type Resource } from '../../sandbox/client/resource.ts'
import { startBox, type Box } from '../../sandbox/start/box.ts'
import { claimNetwork } from '../../sandbox/start/network.ts'

const options = { skip: process.platform === 'linux' ? false : 'needs loopback addresses beyond 127.0.0.1' }
const TOKEN = 'test'
const TIMEOUT_MS = 60_000

let directory = ''
let server: ApiServer
let box: Box

before(async () => {
  if (options.skip !== false) return
  directory = mkdtempSync(join(tmpdir(), 'sandbox-pods-'))
  const network = await claimNetwork(join(directory, 'network.json'))
  assert.ok(network.ok)
  server = await startApiServer({ directory: undefined, listen: { host: '127.0.0.1', port: 0 }, adminToken: TOKEN })
  box = await startBox({
    url: server.url,
    token: TOKEN,
    ca: undefined,
    logger: pino({ level: 'silent' }),
    network: network.value,
    images: { sh: { directory, entrypoint: ['sh', '-c'], command: ['exit 0'] } },
    volumesDirectory: join(directory, 'volumes'),
    kubeletDirectory: join(directory, 'kubelet'),
    variables: {},
    stopFirst: 'nothing',
    onFatal: (error) => {
      throw error
    },
  })
})

after(async () => {
  if (options.skip !== false) return
  await box.stop(1000)
  await server.close()
  rmSync(directory, { recursive: true, force: true })
})

async function until<Found>(what: string, look: () => Promise<Found | undefined | false>): Promise<Found> {
  for (const startedMs = performance.now(); performance.now() - startedMs < TIMEOUT_MS; await delay(20)) {
    const found = await look()
    if (found !== undefined && found !== false) return found
  }
  throw new Error(`not within ${TIMEOUT_MS} ms: ${what}`)
}

async function inNamespace(name: string): Promise<string> {
  const { client } = box
  await client.create(RESOURCES.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  const account = { namespace: name, name: 'default' }
  await until('its service account', async () => client.get(RESOURCES.serviceAccounts, account))
  return name
}

function podObject(
  namespace: string,
  name: string,
  script: string,
  more: Readonly<Record<string, unknown>> = {},
): NewObject {
  const { container, ...spec } = more
  const given = isRecord(container) ? container : {}
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels: { app: name } },
    spec: {
      automountServiceAccountToken: false,
      containers: [{ name: 'c', image: 'sh', args: [script], ...given }],
      ...spec,
    },
  }
}

/** `status.containerStatuses[0].restartCount` and the like; undefined when there is nothing. */
function at(object: unknown, ...path: readonly (string | number)[]): unknown {
  let found = object
  for (const step of path) {
    if (Array.isArray(found) && typeof step === 'number') found = found[step]
    else found = isRecord(found) ? found[String(step)] : undefined
  }
  return found
}

function isReady(pod: StoredObject | undefined): boolean {
  const conditions = at(pod, 'status', 'conditions')
  return (
    Array.isArray(conditions) &&
    conditions.some((each) => at(each, 'type') === 'Ready' && at(each, 'status') === 'True')
  )
}

async function logsOf(namespace: string, name: string, query = ''): Promise<string> {
  const url = `${server.url}/api/v1/namespaces/${namespace}/pods/${name}/log${query}`
  return (await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } })).text()
}

const whole = (namespace: string, name: string) => ({ namespace, name })

test(
  'a pod sees its variables, files and address; it is ready by its probe, and its logs are served',
  options,
  async () => {
    const { client } = box
    const namespace = await inNamespace('sees')
    const data = { greeting: 'good day' }
    await client.create(RESOURCES.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace, name: 'm' },
      data,
    })
    const script =
      'echo "$NAME at $IP says $(cat /etc/words/greeting)"; touch /work/up; trap "echo bye; exit 0" TERM; while :; do sleep 0.05; done'
    const container = {
      env: [
        { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      ],
      volumeMounts: [
        { name: 'words', mountPath: '/etc/words' },
        { name: 'work', mountPath: '/work' },
      ],
      readinessProbe: { exec: { command: ['test', '-e', '/work/up'] }, periodSeconds: 1 },
    }
    const volumes = [
      { name: 'words', configMap: { name: 'm' } },
      { name: 'work', emptyDir: {} },
    ]
    await client.create(RESOURCES.pods, podObject(namespace, 'p', script, { container, volumes }))
    const pod = await until('ready', async () => {
      const found = await client.get(RESOURCES.pods, whole(namespace, 'p'))
      return isReady(found) && found
    })
    const address = String(at(pod, 'status', 'podIP'))
    assert.match(address, /^127\.\d+\.1\.\d+$/)
    assert.equal(await logsOf(namespace, 'p'), `p at ${address} says good day\n`)
    assert.match(await logsOf(namespace, 'p', '?timestamps=true&tailLines=1'), /^\d{4}-.*Z p at /)

    await client.delete(RESOURCES.pods, whole(namespace, 'p'))
    await until(
      'gone after SIGTERM',
      async () => (await client.get(RESOURCES.pods, whole(namespace, 'p'))) === undefined,
    )
  },
)

test(
  'a container that ends runs again at once, then waits; one that is stuck is ended by its liveness probe',
  options,
  async () => {
    const { client } = box
    const namespace = await inNamespace('again')
    await client.create(RESOURCES.pods, podObject(namespace, 'crash', 'echo try; exit 3'))
    const crashed = await until('CrashLoopBackOff', async () => {
      const pod = await client.get(RESOURCES.pods, whole(namespace, 'crash'))
      const reason = at(pod, 'status', 'containerStatuses', 0, 'state', 'waiting', 'reason')
      return reason === 'CrashLoopBackOff' && pod
    })
    assert.equal(at(crashed, 'status', 'containerStatuses', 0, 'restartCount'), 1)
    assert.equal(at(crashed, 'status', 'containerStatuses', 0, 'lastState', 'terminated', 'exitCode'), 3)
    assert.equal(await logsOf(namespace, 'crash', '?previous=true'), 'try\n')

    const livenessProbe = { exec: { command: ['false'] }, periodSeconds: 1, failureThreshold: 1 }
    const stuck = podObject(namespace, 'stuck', 'while :; do sleep 0.05; done', {
      container: { livenessProbe },
      terminationGracePeriodSeconds: 1,
    })
    await client.create(RESOURCES.pods, stuck)
    await until('restarted', async () => {
      const pod = await client.get(RESOURCES.pods, whole(namespace, 'stuck'))
      return Number(at(pod, 'status', 'containerStatuses', 0, 'restartCount')) >= 1
    })
  },
)

test('an image that is not here, and a Secret that is missing, are said in the status', options, async () => {
  const { client } = box
  const namespace = await inNamespace('missing')
  const reasonOf = async (name: string): Promise<unknown> =>
    at(
      await client.get(RESOURCES.pods, whole(namespace, name)),
      'status',
      'containerStatuses',
      0,
      'state',
      'waiting',
      'reason',
    )
  await client.create(RESOURCES.pods, podObject(namespace, 'image', '', { container: { image: 'other:1' } }))
  await until('ImagePullBackOff', async () => (await reasonOf('image')) === 'ImagePullBackOff')
  const env = [{ name: 'A', valueFrom: { secretKeyRef: { name: 'none', key: 'k' } } }]
  await client.create(RESOURCES.pods, podObject(namespace, 'secret', '', { container: { env } }))
  await until('CreateContainerConfigError', async () => (await reasonOf('secret')) === 'CreateContainerConfigError')
})

test('a Secret that changes is mounted as it is then, in a pod that goes on running', options, async () => {
  const { client } = box
  const namespace = await inNamespace('renewed')
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  const metadata = { namespace, name: 's' }
  const data = { a: base64('one'), b: base64('one'), gone: base64('one') }
  await client.create(RESOURCES.secrets, { apiVersion: 'v1', kind: 'Secret', metadata, data })
  // Both files are of one version at every look, since they change at once.
  const script =
    'while :; do cd -P /s/..data 2>/dev/null || continue; x=$(cat a b); ' +
    'case $x in oneone) ;; twotwo) [ -e /s/gone ] || exit 0 ;; "") ;; *) exit 9 ;; esac; sleep 0.02; done'
  const pod = podObject(namespace, 'reader', script, {
    volumes: [{ name: 's', secret: { secretName: 's' } }],
    container: { volumeMounts: [{ name: 's', mountPath: '/s' }] },
    restartPolicy: 'Never',
  })
  await client.create(RESOURCES.pods, pod)
  await until(
    'running',
    async () => at(await client.get(RESOURCES.pods, whole(namespace, 'reader')), 'status', 'phase') === 'Running',
  )
  await client.patch(RESOURCES.secrets, metadata, { data: { a: base64('two'), b: base64('two'), gone: null } })
  const phase = await until('over', async () => {
    const now = at(await client.get(RESOURCES.pods, whole(namespace, 'reader')), 'status', 'phase')
    return now === 'Running' ? undefined : now
  })
  assert.equal(phase, 'Succeeded')
})

function setObject(namespace: string, replicas: number): NewObject {
  const labels = { app: 'set' }
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { namespace, name: 's' },
    spec: {
      replicas,
      serviceName: 's',
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' },
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: 'c',
              image: 'sh',
              args: ['date +%N >> /data/starts; trap "exit 0" TERM; while :; do sleep 0.05; done'],
              volumeMounts: [{ name: 'data', mountPath: '/data' }],
            },
          ],
        },
      },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
        },
      ],
    },
  }
}

async function names(resource: Resource, namespace: string): Promise<readonly string[]> {
  const { items } = await box.client.list(resource, { namespace })
  return items.map(({ metadata }) => metadata.name).toSorted()
}

test(
  'a StatefulSet: pods and claims come and go as its policies say, and with its namespace all goes',
  options,
  async () => {
    const { client } = box
    const namespace = await inNamespace('set')
    const ref = whole(namespace, 's')
    await client.create(RESOURCES.statefulSets, setObject(namespace, 3))
    const ready = async (count: number): Promise<StoredObject> =>
      until(`${count} ready`, async () => {
        const set = await client.get(RESOURCES.statefulSets, ref)
        const counts = [at(set, 'status', 'readyReplicas') ?? 0, at(set, 'status', 'replicas')]
        return counts.every((value) => value === count) && set
      })
    const set = await ready(3)
    assert.equal(at(set, 'status', 'updatedReplicas'), 3)
    assert.deepEqual(await names(RESOURCES.volumeClaims, namespace), ['data-s-0', 'data-s-1', 'data-s-2'])

    const first = await client.get(RESOURCES.pods, whole(namespace, 's-0'))
    assert.equal(first?.metadata.labels?.['apps.kubernetes.io/pod-index'], '0')
    await client.delete(RESOURCES.pods, whole(namespace, 's-0'))
    const second = await until('s-0 recreated', async () => {
      const pod = await client.get(RESOURCES.pods, whole(namespace, 's-0'))
      return pod?.metadata.uid !== first.metadata.uid && isReady(pod) && pod
    })
    assert.equal(at(second, 'status', 'podIP'), at(first, 'status', 'podIP'))

    await client.patch(RESOURCES.statefulSets, ref, { spec: { replicas: 1 } })
    await ready(1)
    assert.deepEqual(await names(RESOURCES.pods, namespace), ['s-0'])
    assert.equal((await names(RESOURCES.volumeClaims, namespace)).length, 3, 'Retain is the default')

    await client.delete(RESOURCES.namespaces, { namespace: undefined, name: namespace })
    await until('the namespace gone', async () => {
      const found = await client.get(RESOURCES.namespaces, { namespace: undefined, name: namespace })
      return found === undefined
    })
    const volumes = await until('its volumes gone', async () => {
      const { items } = await client.list(RESOURCES.volumes)
      return items.every((volume) => at(volume, 'spec', 'claimRef', 'namespace') !== namespace) && items
    })
    assert.deepEqual(volumes, [])
  },
)

test(
  'with the set go its pods and, where the policy says so, its claims; a budget stops evictions',
  options,
  async () => {
    const { client } = box
    const namespace = await inNamespace('owned')
    const ref = whole(namespace, 's')
    const object = setObject(namespace, 2)
    const spec = {
      ...(isRecord(object['spec']) ? object['spec'] : {}),
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' },
    }
    await client.create(RESOURCES.statefulSets, { ...object, spec })
    await client.create(RESOURCES.disruptionBudgets, {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: ref,
      spec: { minAvailable: 2, selector: { matchLabels: { app: 'set' } } },
    })
    const allowed = async (count: number): Promise<unknown> =>
      until(`${count} disruptions allowed of 2 healthy`, async () => {
        const budget = await client.get(RESOURCES.disruptionBudgets, ref)
        const isSo =
          at(budget, 'status', 'currentHealthy') === 2 && at(budget, 'status', 'disruptionsAllowed') === count
        return isSo && budget
      })
    await allowed(0)
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: whole(namespace, 's-1') }
    // Not by the client, which would try again.
    const refused = await fetch(`${server.url}/api/v1/namespaces/${namespace}/pods/s-1/eviction`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify(eviction),
    })
    assert.equal(refused.status, 429, await refused.text())
    await client.patch(RESOURCES.disruptionBudgets, ref, { spec: { minAvailable: 1 } })
    await allowed(1)
    await client.post(RESOURCES.pods, whole(namespace, 's-1'), 'eviction', eviction)

    await client.delete(RESOURCES.statefulSets, ref)
    await until('pods and claims gone', async () => {
      const left = [...(await names(RESOURCES.pods, namespace)), ...(await names(RESOURCES.volumeClaims, namespace))]
      return left.length === 0
    })
  },
)
