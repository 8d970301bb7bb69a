/** Patches, server-side apply, deletion, dry runs. */
import type { Case } from '../case.ts'
import { CONFIG_MAPS, configMap, RAFT_CLUSTERS, raftCluster, SERVICES, textAt } from '../objects.ts'

const MERGE = 'application/merge-patch+json'
const JSON_PATCH = 'application/json-patch+json'
const STRATEGIC = 'application/strategic-merge-patch+json'
const APPLY = 'application/apply-patch+yaml'

export const writeCases: readonly Case[] = [
  {
    name: 'create, and create again',
    run: async ({ send }) => {
      await send({ method: 'POST', path: CONFIG_MAPS, body: configMap('twice', { a: '1' }) })
      await send({ method: 'POST', path: CONFIG_MAPS, body: configMap('twice', { a: '2' }) })
    },
  },
  {
    name: 'generateName',
    run: async ({ send }) => {
      const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'made-' } }
      await send({ method: 'POST', path: CONFIG_MAPS, body })
    },
  },
  {
    name: 'merge patch',
    run: async ({ send }) => {
      const path = `${CONFIG_MAPS}/merged`
      await send({ method: 'POST', path: CONFIG_MAPS, body: configMap('merged', { a: '1', b: '2' }) })
      await send({ method: 'PATCH', path, body: { data: { a: null, c: '3' } }, contentType: MERGE })
      await send({ method: 'PATCH', path, body: {}, contentType: MERGE })
      await send({ method: 'PATCH', path, body: { metadata: { name: 'other' } }, contentType: MERGE })
      await send({ method: 'PATCH', path: `${CONFIG_MAPS}/absent`, body: {}, contentType: MERGE })
    },
  },
  {
    name: 'JSON patch',
    run: async ({ send }) => {
      const path = `${CONFIG_MAPS}/json-patched`
      await send({ method: 'POST', path: CONFIG_MAPS, body: configMap('json-patched', { a: '1' }) })
      const patches = [
        [
          { op: 'add', path: '/data/b', value: '2' },
          { op: 'remove', path: '/data/a' },
        ],
        [
          { op: 'test', path: '/data/b', value: '9' },
          { op: 'replace', path: '/data/b', value: '3' },
        ],
        [{ op: 'replace', path: '/data/none', value: '3' }],
        [
          { op: 'copy', from: '/data/b', path: '/data/c' },
          { op: 'move', from: '/data/b', path: '/data/d' },
        ],
      ]
      for (const body of patches) await send({ method: 'PATCH', path, body, contentType: JSON_PATCH })
    },
  },
  {
    name: 'strategic merge patch',
    run: async ({ send }) => {
      const ports = [
        { name: 'a', port: 1 },
        { name: 'b', port: 2 },
      ]
      const body = {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'strategic' },
        spec: { clusterIP: 'None', ports },
      }
      await send({ method: 'POST', path: SERVICES, body })
      const path = `${SERVICES}/strategic`
      await send({ method: 'PATCH', path, body: { spec: { ports: [{ port: 3, name: 'c' }] } }, contentType: STRATEGIC })
      await send({
        method: 'PATCH',
        path,
        body: { spec: { ports: [{ port: 1, $patch: 'delete' }] } },
        contentType: STRATEGIC,
      })
      await send({ method: 'POST', path: RAFT_CLUSTERS, body: raftCluster('strategic') })
      await send({ method: 'PATCH', path: `${RAFT_CLUSTERS}/strategic`, body: {}, contentType: STRATEGIC })
    },
  },
  {
    name: 'apply: one manager',
    run: async ({ send }) => {
      const path = `${CONFIG_MAPS}/applied?fieldManager=one`
      await send({ method: 'PATCH', path, body: configMap('applied', { a: '1', b: '2' }), contentType: APPLY })
      await send({ method: 'PATCH', path, body: configMap('applied', { a: '1', b: '2' }), contentType: APPLY })
      await send({ method: 'PATCH', path, body: configMap('applied', { a: '3' }), contentType: APPLY })
    },
  },
  {
    name: 'apply: two managers in conflict, then by force',
    run: async ({ send }) => {
      const path = (manager: string): string => `${CONFIG_MAPS}/contended?fieldManager=${manager}`
      await send({
        method: 'PATCH',
        path: path('one'),
        body: configMap('contended', { a: '1', b: '1' }),
        contentType: APPLY,
      })
      await send({
        method: 'PATCH',
        path: path('two'),
        body: configMap('contended', { a: '2', c: '2' }),
        contentType: APPLY,
      })
      await send({ method: 'PATCH', path: path('two'), body: configMap('contended', { b: '1' }), contentType: APPLY })
      await send({
        method: 'PATCH',
        path: `${path('two')}&force=true`,
        body: configMap('contended', { a: '2' }),
        contentType: APPLY,
      })
      await send({ method: 'PATCH', path: path('one'), body: configMap('contended', {}), contentType: APPLY })
    },
  },
  {
    name: 'apply: a RaftCluster, after somebody else has edited it',
    run: async ({ send }) => {
      const path = `${RAFT_CLUSTERS}/shared`
      const apply = (spec: Readonly<Record<string, unknown>>): Promise<unknown> =>
        send({
          method: 'PATCH',
          path: `${path}?fieldManager=one`,
          body: raftCluster('shared', spec),
          contentType: APPLY,
        })
      await apply({ replicas: 3, paused: true })
      await send({
        method: 'PATCH',
        path: `${path}?fieldManager=hand`,
        body: { spec: { replicas: 5 } },
        contentType: MERGE,
      })
      await apply({ replicas: 3, paused: true })
      await apply({ paused: true })
    },
  },
  {
    name: 'apply: what is wrong with the request',
    run: async ({ send }) => {
      const path = `${CONFIG_MAPS}/wrongly`
      await send({ method: 'PATCH', path, body: configMap('wrongly'), contentType: APPLY })
      await send({ method: 'PATCH', path: `${path}?fieldManager=one`, body: configMap('other'), contentType: APPLY })
      await send({
        method: 'PATCH',
        path: `${path}?fieldManager=one`,
        body: { metadata: { name: 'wrongly' } },
        contentType: APPLY,
      })
      const metadata = { name: 'wrongly', managedFields: [{ manager: 'x' }] }
      await send({
        method: 'PATCH',
        path: `${path}?fieldManager=one`,
        body: { ...configMap('wrongly'), metadata },
        contentType: APPLY,
      })
    },
  },
  {
    name: 'apply: a value of the wrong type, and a field that is none',
    run: async ({ send }) => {
      const apply = (path: string, body: unknown, query = ''): Promise<unknown> =>
        send({ method: 'PATCH', path: `${path}?fieldManager=one${query}`, body, contentType: APPLY })
      const config = `${CONFIG_MAPS}/mistyped`
      await apply(config, configMap('mistyped', { a: 1 }))
      await apply(config, { ...configMap('mistyped'), data: ['a'] })
      await apply(config, { ...configMap('mistyped'), dato: { a: '1' } })
      await apply(config, { ...configMap('mistyped'), dato: { a: '1' } }, '&fieldValidation=Strict')
      const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'mistyped' } }
      await apply(`${SERVICES}/mistyped`, { ...service, spec: { ports: [{ port: 'http' }] } })
      await apply(`${SERVICES}/mistyped`, { ...service, spec: { ports: [{ port: 80, targetPort: {} }] } })
      await apply(`${SERVICES}/mistyped`, { ...service, spec: { ports: { port: 80 } } })
      const cluster = `${RAFT_CLUSTERS}/mistyped`
      await apply(cluster, raftCluster('mistyped', { replicas: 'three' }))
      await apply(cluster, raftCluster('mistyped', { storage: '1Gi' }))
      await apply(cluster, raftCluster('mistyped', { replica: 3 }))
      await apply(cluster, raftCluster('mistyped', { replica: 3 }), '&fieldValidation=Strict')
      await apply(cluster, raftCluster('mistyped', {}, { labels: { a: 1 } }))
    },
  },
  {
    name: 'dry run',
    run: async ({ send }) => {
      await send({ method: 'POST', path: `${CONFIG_MAPS}?dryRun=All`, body: configMap('dry', { a: '1' }) })
      await send({ path: `${CONFIG_MAPS}/dry` })
      await send({ method: 'POST', path: `${CONFIG_MAPS}?dryRun=Some`, body: configMap('dry') })
      await send({ method: 'POST', path: CONFIG_MAPS, body: configMap('wet') })
      await send({ method: 'DELETE', path: `${CONFIG_MAPS}/wet?dryRun=All` })
      await send({ path: `${CONFIG_MAPS}/wet` })
    },
  },
  {
    name: 'delete',
    run: async ({ send }) => {
      const path = `${CONFIG_MAPS}/deleted`
      await send({ method: 'POST', path: CONFIG_MAPS, body: configMap('deleted') })
      await send({ method: 'DELETE', path })
      await send({ path })
    },
  },
  {
    name: 'delete with preconditions',
    run: async ({ send }) => {
      const path = `${CONFIG_MAPS}/guarded`
      const { body } = await send({ method: 'POST', path: CONFIG_MAPS, body: configMap('guarded') })
      const options = { apiVersion: 'v1', kind: 'DeleteOptions' }
      const other = '11111111-2222-3333-4444-555555555555'
      await send({ method: 'DELETE', path, body: { ...options, preconditions: { uid: other } } })
      await send({ method: 'DELETE', path, body: { ...options, preconditions: { resourceVersion: '1' } } })
      await send({ method: 'DELETE', path, body: { ...options, propagationPolicy: 'Sideways' } })
      await send({
        method: 'DELETE',
        path,
        body: { ...options, preconditions: { uid: textAt(body, 'metadata', 'uid') } },
      })
    },
  },
  {
    name: 'delete with a finalizer',
    run: async ({ send }) => {
      const path = `${RAFT_CLUSTERS}/held`
      await send({
        method: 'POST',
        path: RAFT_CLUSTERS,
        body: raftCluster('held', {}, { finalizers: ['raftkv.dev/held'] }),
      })
      await send({ method: 'DELETE', path })
      await send({ method: 'DELETE', path })
      await send({
        method: 'PATCH',
        path,
        body: { metadata: { finalizers: ['raftkv.dev/held', 'raftkv.dev/more'] } },
        contentType: MERGE,
      })
      await send({ method: 'PATCH', path, body: { metadata: { finalizers: null } }, contentType: MERGE })
      await send({ path })
    },
  },
  {
    name: 'delete in the foreground',
    run: async ({ send }) => {
      const path = `${CONFIG_MAPS}/foreground`
      await send({ method: 'POST', path: CONFIG_MAPS, body: configMap('foreground') })
      await send({ method: 'DELETE', path: `${path}?propagationPolicy=Foreground` })
      await send({ path })
    },
  },
  {
    name: 'delete many',
    run: async ({ send }) => {
      for (const name of ['many-a', 'many-b', 'many-c']) {
        const labels = { many: name === 'many-c' ? 'no' : 'yes' }
        await send({ method: 'POST', path: CONFIG_MAPS, body: configMap(name, {}, { labels }) })
      }
      await send({ method: 'DELETE', path: `${CONFIG_MAPS}?labelSelector=many%3Dyes` })
      await send({ path: `${CONFIG_MAPS}?labelSelector=many` })
    },
  },
]
