/** Small decisions of the kubelet: variables, paths, images, probes, restarts, status, addresses, logs, names. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { StoredObject } from '../client/object.ts'
import { Addresses } from './addresses.ts'
import type { ContainerState, ContainerView } from './container.ts'
import { expand, fieldOf, localise, variablesOf } from './environment.ts'
import { commandLine, findImage } from './images.ts'
import { LogWriter, readLog } from './logs.ts'
import { hostsOf } from './names.ts'
import type { Pod } from './pod.ts'
import { podOf } from './pod.ts'
import { beginProbe, countProbe } from './probe-state.ts'
import { NO_CRASHES, countExit, isRestarted, restartDelayMs } from './restart.ts'
import { finalPhase, phaseOf, statusOf } from './status.ts'

const FACTS = { podIP: '127.77.1.1', hostIP: '127.77.0.1' }

function pod(spec: Readonly<Record<string, unknown>>, status: unknown = {}): Pod {
  const metadata = { name: 'p', namespace: 'n', uid: 'u', resourceVersion: '1', labels: { app: 'x' }, generation: 2 }
  return podOf({ apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [], ...spec }, status })
}

function variables(container: Readonly<Record<string, unknown>>): unknown {
  const subject = pod({ containers: [{ name: 'c', ...container }] })
  const [first] = subject.spec.containers
  assert.ok(first !== undefined)
  const result = variablesOf(subject, first, FACTS, {
    secret: (name) => (name === 's' ? { token: Buffer.from('gehéim').toString('latin1') } : undefined),
    configMap: (name) => (name === 'm' ? { a: '1', b: '2' } : undefined),
  })
  return result.ok ? result.value : result.error
}

test('variables come from values, fields, Secrets and ConfigMaps, later ones may use earlier ones', () => {
  const found = variables({
    envFrom: [{ prefix: 'M_', configMapRef: { name: 'm' } }, { configMapRef: { name: 'none', optional: true } }],
    env: [
      { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 's', key: 'token' } } },
      { name: 'B', valueFrom: { configMapKeyRef: { name: 'm', key: 'b' } } },
      { name: 'URL', value: 'http://$(NAME)/$(M_a)/$(UNKNOWN)/$$(NAME)' },
      { name: 'GONE', valueFrom: { secretKeyRef: { name: 's', key: 'gone', optional: true } } },
    ],
  })
  assert.deepEqual(found, {
    M_a: '1',
    M_b: '2',
    NAME: 'p',
    TOKEN: 'gehéim',
    B: '2',
    URL: 'http://p/1/$(UNKNOWN)/$(NAME)',
  })
})

test('what is missing is named', () => {
  const from = (valueFrom: unknown): unknown => variables({ env: [{ name: 'A', valueFrom }] })
  assert.equal(from({ secretKeyRef: { name: 'none', key: 'k' } }), 'secret "none" not found')
  assert.equal(from({ configMapKeyRef: { name: 'm', key: 'k' } }), "couldn't find key k in configmap n/m")
  assert.equal(variables({ envFrom: [{ secretRef: { name: 'none' } }] }), 'secret "none" not found')
  assert.equal(from({ fieldRef: { fieldPath: 'spec.other' } }), 'field "spec.other" is not supported')
})

test('the downward API reads labels one by one and all together', () => {
  const value = (path: string): unknown => {
    const result = fieldOf(pod({}), path, FACTS)
    return result.ok && result.value
  }
  assert.equal(value("metadata.labels['app']"), 'x')
  assert.equal(value('metadata.labels'), 'app="x"')
  assert.equal(value('status.podIP'), FACTS.podIP)
})

test('$(NAME) in arguments', () => assert.equal(expand('--name=$(A)-$(B)', { A: '1' }), '--name=1-$(B)'))

test('a mount path becomes the directory, at the borders of a path only, the longest first', () => {
  const mounts = [
    { mountPath: '/data', directory: '/x/d' },
    { mountPath: '/data/sub/', directory: '/x/s' },
  ]
  const cases = [
    ['--dir=/data', '--dir=/x/d'],
    ['/data/file', '/x/d/file'],
    ['/data/sub/file', '/x/s/file'],
    ['/database', '/database'],
    ['/other/data', '/other/data'],
    ['a:/data:/data/sub', 'a:/x/d:/x/s'],
  ] as const
  for (const [text, expected] of cases) assert.equal(localise(text, mounts), expected)
})

test('an image is found by its repository, whatever its registry, tag or digest', () => {
  const image = { directory: '/c', entrypoint: ['node'], command: ['a.ts'] }
  for (const name of ['raftkv', 'raftkv:1', 'r.example:5000/x/raftkv:1', 'raftkv@sha256:aa', 'x/raftkv:1@sha256:aa']) {
    assert.equal(findImage({ raftkv: image }, name), image, name)
  }
  for (const name of ['raftkv2', 'toString', '']) assert.equal(findImage({ raftkv: image }, name), undefined, name)
  assert.deepEqual(commandLine(image, [], []), ['node', 'a.ts'])
  assert.deepEqual(commandLine(image, [], ['b']), ['node', 'b'])
  assert.deepEqual(commandLine(image, ['sh'], ['-c']), ['sh', '-c'])
})

test('a probe changes its verdict after its thresholds in a row', () => {
  const thresholds = { successThreshold: 1, failureThreshold: 3 }
  let state = beginProbe(true)
  const verdicts = [false, false, true, false, false, false, true].map((hasPassed) => {
    state = countProbe(state, hasPassed, thresholds)
    return state.isPassing
  })
  assert.deepEqual(verdicts, [true, true, true, true, true, false, true])
})

test('the first restart is immediate, then 10 s doubled to 5 min, again after a long run', () => {
  let crashes = NO_CRASHES
  const delays = Array.from({ length: 8 }, () => {
    crashes = countExit(crashes, 1000)
    return restartDelayMs(crashes) / 1000
  })
  assert.deepEqual(delays, [0, 10, 20, 40, 80, 160, 300, 300])
  assert.equal(restartDelayMs(countExit(crashes, 600_000)), 0)
  assert.equal(isRestarted('Always', 0), true)
  assert.equal(isRestarted('OnFailure', 0), false)
  assert.equal(isRestarted('OnFailure', 1), true)
  assert.equal(isRestarted('Never', 1), false)
})

const WAITING: ContainerState = { kind: 'waiting', reason: 'ContainerCreating', message: '' }
const RUNNING: ContainerState = { kind: 'running', startedAtMs: 0 }
const ended = (exitCode: number): ContainerState => ({
  kind: 'terminated',
  exitCode,
  reason: 'Error',
  startedAtMs: 0,
  finishedAtMs: 1000,
})

function container(state: ContainerState, isReady = false): ContainerView {
  return { name: 'c', image: 'i', state, last: undefined, restartCount: 0, isReady, isStarted: isReady }
}

function view(...containers: readonly ContainerView[]) {
  return { ...FACTS, startedAtMs: 0, initContainers: [], containers }
}

test('a pod’s phase follows from its containers and its restart policy', () => {
  const phase = (restartPolicy: string, ...states: readonly ContainerState[]): string =>
    phaseOf(pod({ restartPolicy }), view(...states.map((state) => container(state))))
  assert.equal(phase('Always', WAITING), 'Pending')
  assert.equal(phase('Always', RUNNING, WAITING), 'Pending')
  assert.equal(phase('Always', ended(1)), 'Running')
  assert.equal(phase('Never', ended(0)), 'Succeeded')
  assert.equal(phase('Never', ended(0), ended(1)), 'Failed')
  assert.equal(phase('OnFailure', ended(1)), 'Running')
  assert.equal(phase('Never', ended(0), RUNNING), 'Running')
  assert.equal(finalPhase([container(ended(0))]), 'Succeeded')
  assert.equal(finalPhase([container(ended(143))]), 'Failed')
})

test('conditions keep their time while they stay, and conditions of others stay', () => {
  const first = statusOf(pod({}), view(container(RUNNING, true)), 1000)
  const foreign = { type: 'DisruptionTarget', status: 'True' }
  const conditions = [...(first['conditions'] as readonly object[]), foreign]
  const second = statusOf(pod({}, { conditions }), view(container(RUNNING, true)), 9000)
  assert.deepEqual(
    (second['conditions'] as readonly { type: string; lastTransitionTime?: string }[]).map((condition) => [
      condition.type,
      condition.lastTransitionTime,
    ]),
    [
      ['DisruptionTarget', undefined],
      ...['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => [
        type,
        '1970-01-01T00:00:01Z',
      ]),
    ],
  )
})

test('a pod of the same name has the same address, also after a restart of the sandbox', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sandbox-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'addresses.json')
  const addresses = new Addresses({ octet: 77 }, path)
  assert.equal(addresses.take('n/a'), '127.77.1.1')
  assert.equal(addresses.take('n/b'), '127.77.1.2')
  addresses.release('n/a')
  assert.equal(addresses.take('n/a'), '127.77.1.1')
  const later = new Addresses({ octet: 78 }, path)
  assert.equal(later.take('n/b'), '127.78.1.2')
  assert.equal(later.take('n/c'), '127.78.1.3')
})

test('logs: whole lines, by tail, time and size, with and without times, the run before on request', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sandbox-'))
  t.after(() => rmSync(directory, { recursive: true }))
  let nowMs = Date.parse('2026-01-01T00:00:00Z')
  const writer = new LogWriter(directory, 0, () => nowMs)
  writer.write('stdout', Buffer.from('one\ntw'))
  nowMs += 1000
  writer.write('stdout', Buffer.from('o\nthree'))
  writer.close()
  const none = { tailLines: undefined, sinceMs: undefined, limitBytes: undefined, hasTimestamps: false }
  const read = (query: Partial<typeof none> & object, run = 0): string =>
    readLog(directory, run, { ...none, ...query }).toString()
  assert.equal(read({}), 'one\ntwo\nthree\n')
  assert.equal(read({ tailLines: 2 } as object), 'two\nthree\n')
  assert.equal(read({ tailLines: 0 } as object), '')
  assert.equal(read({ sinceMs: nowMs } as object), 'two\nthree\n')
  assert.equal(read({ limitBytes: 5 } as object), 'one\nt')
  assert.match(read({ tailLines: 1, hasTimestamps: true } as object), /^2026-01-01T00:00:01\.000000000Z three\n$/)
  assert.equal(read({}, 1), '', 'a run that has printed nothing')
  new LogWriter(directory, 2, () => nowMs).close()
  assert.equal(read({}), '', 'only the run before is kept')
})

test('names: of the Service and of each pod below it', () => {
  const service: StoredObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'peers', namespace: 'n', uid: 's', resourceVersion: '1' },
    spec: { selector: { app: 'x' }, publishNotReadyAddresses: true },
  }
  const subject = pod({ hostname: 'm-0', subdomain: 'peers' }, { phase: 'Running', podIP: '127.77.1.1' })
  assert.equal(
    hostsOf([service], [subject.object]),
    '127.77.1.1 m-0.peers.n.svc.cluster.local\n127.77.1.1 peers.n.svc.cluster.local',
  )
})
