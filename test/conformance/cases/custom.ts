/** RaftClusters: defaults, the schema, the rules in CEL, the subresources. */
import type { Case } from '../case.ts'
import { at, RAFT_CLUSTERS, raftCluster, textAt, type Fields } from '../objects.ts'

const MERGE = 'application/merge-patch+json'

const refused = (name: string, spec: Fields): Case => ({
  name: `refused: ${name}`,
  run: async ({ send }) => {
    const named = `refused-${name.replaceAll(/[^a-z]+/g, '-')}`.slice(0, 40).replace(/-$/, '')
    await send({ method: 'POST', path: RAFT_CLUSTERS, body: raftCluster(named, spec) })
  },
})

const refusedChange = (name: string, spec: Fields, patch: Fields): Case => ({
  name: `refused as a change: ${name}`,
  run: async ({ send }) => {
    const named = `change-${name.replaceAll(/[^a-z]+/g, '-')}`.slice(0, 40).replace(/-$/, '')
    await send({ method: 'POST', path: RAFT_CLUSTERS, body: raftCluster(named, spec) })
    await send({ method: 'PATCH', path: `${RAFT_CLUSTERS}/${named}`, body: { spec: patch }, contentType: MERGE })
  },
})

export const customCases: readonly Case[] = [
  {
    name: 'a RaftCluster gets its defaults',
    run: async ({ send }) => {
      await send({ method: 'POST', path: RAFT_CLUSTERS, body: raftCluster('defaults') })
      await send({ path: `${RAFT_CLUSTERS}/defaults` })
      await send({ method: 'POST', path: RAFT_CLUSTERS, body: raftCluster('no-spec', undefined) })
    },
  },
  {
    name: 'unknown fields: dropped, warned of, or refused',
    run: async ({ send }) => {
      const body = (name: string): Fields => raftCluster(name, { replicas: 3, colour: 'red', storage: { shade: 1 } })
      await send({ method: 'POST', path: RAFT_CLUSTERS, body: body('unknown-a') })
      await send({ method: 'POST', path: `${RAFT_CLUSTERS}?fieldValidation=Ignore`, body: body('unknown-b') })
      await send({ method: 'POST', path: `${RAFT_CLUSTERS}?fieldValidation=Warn`, body: body('unknown-c') })
      await send({ method: 'POST', path: `${RAFT_CLUSTERS}?fieldValidation=Strict`, body: body('unknown-d') })
      await send({ method: 'POST', path: `${RAFT_CLUSTERS}?fieldValidation=Never`, body: body('unknown-e') })
    },
  },
  refused('text for a number', { replicas: 'three' }),
  refused('a fraction', { replicas: 1.5 }),
  refused('below the minimum', { replicas: -1 }),
  refused('above the maximum', { replicas: 1001 }),
  refused('null', { replicas: null, storage: null }),
  refused('a list for an object', { storage: [] }),
  refused('a pattern', { storage: { size: 'big' } }),
  refused('two at once', { replicas: -1, paused: 'yes' }),
  refused('even', { replicas: 4 }),
  refused('no size', { storage: { size: '0' } }),
  refused('election and heartbeat', { options: { electionTimeoutMs: 400, heartbeatMs: 100 } }),
  refused('an unacknowledged recovery', {
    recovery: { request: { id: 'a', survivor: 'kv-0', acknowledgeDataLoss: false } },
  }),
  refused('what is required is missing', { recovery: { request: { id: 'a' } } }),
  {
    name: 'refused: names for no Service',
    run: async ({ send }) => {
      for (const name of ['a'.repeat(41), '1kv', 'a.b'])
        await send({ method: 'POST', path: RAFT_CLUSTERS, body: raftCluster(name) })
    },
  },
  refusedChange('a smaller size', { storage: { size: '2Gi' } }, { storage: { size: '1Gi' } }),
  refusedChange('a class', {}, { storage: { storageClassName: 'fast' } }),
  refusedChange('a domain', {}, { clusterDomain: 'other.local' }),
  refusedChange('to even', {}, { replicas: 2 }),
  {
    name: 'a status of its own',
    run: async ({ send }) => {
      const path = `${RAFT_CLUSTERS}/status`
      const status = { clusterID: '00000000000000aa', phase: 'Ready' }
      await send({ method: 'POST', path: RAFT_CLUSTERS, body: { ...raftCluster('status'), status } })
      await send({ method: 'PATCH', path: `${path}/status`, body: { status }, contentType: MERGE })
      await send({
        method: 'PATCH',
        path,
        body: { status: { clusterID: 'ignored' }, spec: { paused: true } },
        contentType: MERGE,
      })
      await send({ method: 'PATCH', path: `${path}/status`, body: { spec: { paused: false } }, contentType: MERGE })
      await send({
        method: 'PATCH',
        path: `${path}/status`,
        body: { status: { clusterID: '00000000000000ab' } },
        contentType: MERGE,
      })
      await send({ method: 'PATCH', path: `${path}/status`, body: { status: null }, contentType: MERGE })
      await send({ path: `${path}/status` })
    },
  },
  {
    name: 'scale',
    run: async ({ send }) => {
      const path = `${RAFT_CLUSTERS}/scaled`
      await send({ method: 'POST', path: RAFT_CLUSTERS, body: raftCluster('scaled') })
      const { body } = await send({ path: `${path}/scale` })
      await send({ method: 'PUT', path: `${path}/scale`, body: { ...Object(body), spec: { replicas: 5 } } })
      await send({ method: 'PATCH', path: `${path}/scale`, body: { spec: { replicas: 7 } }, contentType: MERGE })
      await send({ method: 'PATCH', path: `${path}/scale`, body: { spec: { replicas: 4 } }, contentType: MERGE })
      await send({ method: 'PUT', path: `${path}/scale`, body: { ...Object(body), spec: { replicas: 1 } } })
      await send({ path })
    },
  },
  {
    name: 'the generation counts changes of the spec',
    run: async ({ send }) => {
      const path = `${RAFT_CLUSTERS}/generation`
      await send({ method: 'POST', path: RAFT_CLUSTERS, body: raftCluster('generation') })
      for (const body of [{ metadata: { labels: { a: 'b' } } }, { spec: { paused: true } }, { spec: { paused: true } }])
        await send({ method: 'PATCH', path, body, contentType: MERGE })
    },
  },
  {
    name: 'an update needs the version it is based on',
    run: async ({ send }) => {
      const path = `${RAFT_CLUSTERS}/versions`
      const { body } = await send({ method: 'POST', path: RAFT_CLUSTERS, body: raftCluster('versions') })
      const metadata = { name: 'versions', resourceVersion: textAt(body, 'metadata', 'resourceVersion') }
      const spec = Object(at(body, 'spec'))
      await send({ method: 'PUT', path, body: { ...raftCluster('versions'), spec: { ...spec, paused: true } } })
      await send({
        method: 'PUT',
        path,
        body: { ...raftCluster('versions'), metadata, spec: { ...spec, paused: true } },
      })
      await send({ method: 'PUT', path, body: { ...raftCluster('versions'), metadata, spec } })
      await send({ method: 'PUT', path, body: { ...raftCluster('other'), spec } })
    },
  },
]
