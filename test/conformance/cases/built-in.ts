/** The built-in types that our operator writes. */
import type { Case } from '../case.ts'
import {
  at,
  BUDGETS,
  CLAIMS,
  CONFIG_MAPS,
  configMap,
  LEASES,
  PODS,
  pod,
  SERVICES,
  STATEFUL_SETS,
  statefulSet,
  textAt,
  type Fields,
} from '../objects.ts'

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io'

const MERGE = 'application/merge-patch+json'
const STRATEGIC = 'application/strategic-merge-patch+json'

const service = (name: string, spec: Fields): Fields => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec,
})

export const builtInCases: readonly Case[] = [
  {
    name: 'a StatefulSet gets its defaults',
    run: async ({ send }) => {
      await send({ method: 'POST', path: STATEFUL_SETS, body: statefulSet('defaults') })
      await send({ path: `${STATEFUL_SETS}/defaults/scale` })
    },
  },
  {
    name: 'a StatefulSet: what may change, and what may not',
    run: async ({ send }) => {
      const path = `${STATEFUL_SETS}/changed`
      await send({ method: 'POST', path: STATEFUL_SETS, body: statefulSet('changed') })
      for (const spec of [
        { replicas: 5 },
        { serviceName: 'other' },
        { podManagementPolicy: 'Parallel' },
        { replicas: -1 },
      ])
        await send({ method: 'PATCH', path, body: { spec }, contentType: STRATEGIC })
      await send({
        method: 'POST',
        path: STATEFUL_SETS,
        body: statefulSet('unselected', { selector: { matchLabels: { no: 'no' } } }),
      })
      await send({
        method: 'POST',
        path: STATEFUL_SETS,
        body: { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'empty' }, spec: {} },
      })
    },
  },
  {
    name: 'Services',
    run: async ({ send }) => {
      await send({
        method: 'POST',
        path: SERVICES,
        body: service('plain', { selector: { a: 'b' }, ports: [{ port: 80 }] }),
      })
      await send({
        method: 'POST',
        path: SERVICES,
        body: service('headless', {
          clusterIP: 'None',
          publishNotReadyAddresses: true,
          ports: [{ port: 80, name: 'a' }],
        }),
      })
      await send({
        method: 'PATCH',
        path: `${SERVICES}/headless`,
        body: { spec: { clusterIP: '10.96.7.7' } },
        contentType: MERGE,
      })
      await send({ method: 'POST', path: SERVICES, body: service('portless', { selector: {} }) })
      await send({ method: 'POST', path: SERVICES, body: service('wrong', { ports: [{ port: 0 }] }) })
    },
  },
  {
    name: 'a Pod gets its defaults',
    run: async ({ send }) => {
      await send({ method: 'POST', path: PODS, body: pod('alone') })
      await send({
        method: 'PATCH',
        path: `${PODS}/alone`,
        body: { spec: { restartPolicy: 'Never' } },
        contentType: STRATEGIC,
      })
      await send({ method: 'POST', path: PODS, body: { ...pod('empty'), spec: { containers: [] } } })
    },
  },
  {
    name: 'a Pod that no node has is deleted at once',
    run: async ({ send }) => {
      await send({ method: 'POST', path: PODS, body: pod('unscheduled') })
      await send({ method: 'DELETE', path: `${PODS}/unscheduled` })
      await send({ path: `${PODS}/unscheduled` })
    },
  },
  {
    name: 'claims',
    run: async ({ send }) => {
      const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
      const body = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'claim' }, spec }
      await send({ method: 'POST', path: CLAIMS, body })
      await send({
        method: 'PATCH',
        path: `${CLAIMS}/claim`,
        body: { spec: { resources: { requests: { storage: '2Gi' } } } },
        contentType: MERGE,
      })
      await send({ method: 'DELETE', path: `${CLAIMS}/claim` })
    },
  },
  {
    name: 'a PodDisruptionBudget and an eviction',
    run: async ({ send }) => {
      const spec = { maxUnavailable: 1, selector: { matchLabels: { app: 'budget' } } }
      const body = { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 'budget' }, spec }
      await send({ method: 'POST', path: BUDGETS, body })
      await send({
        method: 'POST',
        path: BUDGETS,
        body: { ...body, metadata: { name: 'both' }, spec: { ...spec, minAvailable: 1 } },
      })
      await send({ method: 'POST', path: PODS, body: pod('evicted') })
      const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'evicted' } }
      await send({ method: 'POST', path: `${PODS}/evicted/eviction`, body: eviction })
      await send({ path: `${PODS}/evicted` })
    },
  },
  {
    name: 'a Lease changes hands',
    run: async ({ send }) => {
      const spec = {
        holderIdentity: 'a',
        leaseDurationSeconds: 15,
        acquireTime: '2026-01-01T00:00:00.000000Z',
        renewTime: '2026-01-01T00:00:00.000000Z',
        leaseTransitions: 0,
      }
      const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'leader' }, spec }
      const { body } = await send({ method: 'POST', path: LEASES, body: lease })
      const metadata = at(body, 'metadata')
      await send({
        method: 'PUT',
        path: `${LEASES}/leader`,
        body: { ...lease, metadata, spec: { ...spec, holderIdentity: 'b' } },
      })
      await send({ method: 'PUT', path: `${LEASES}/leader`, body: { ...lease, metadata, spec } })
      await send({
        method: 'POST',
        path: LEASES,
        body: { ...lease, metadata: { name: 'wrong' }, spec: { ...spec, leaseDurationSeconds: 0 } },
      })
    },
  },
  {
    name: 'events',
    run: async ({ send }) => {
      const regarding = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name: 'x' }
      const event = {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name: 'told' },
        eventTime: '2026-01-01T00:00:00.000000Z',
        reportingController: 'c',
        reportingInstance: 'i',
        action: 'Acted',
        reason: 'Because',
        type: 'Normal',
        note: 'words',
        regarding,
      }
      await send({ method: 'POST', path: '/apis/events.k8s.io/v1/namespaces/default/events', body: event })
      await send({ path: '/api/v1/namespaces/default/events/told' })
      const path = '/apis/events.k8s.io/v1/namespaces/default/events/told'
      const series = { count: 7, lastObservedTime: '2026-01-01T00:01:00.000000Z' }
      await send({ method: 'PATCH', path, body: { series }, contentType: 'application/merge-patch+json' })
      await send({ path: '/api/v1/namespaces/default/events/told' })
      await send({ path: '/api/v1/namespaces/default/events/told', accept: TABLE })
    },
  },
  {
    name: 'an immutable ConfigMap, and a Secret',
    run: async ({ send }) => {
      await send({ method: 'POST', path: CONFIG_MAPS, body: { ...configMap('fixed', { a: '1' }), immutable: true } })
      await send({ method: 'PATCH', path: `${CONFIG_MAPS}/fixed`, body: { data: { a: '2' } }, contentType: MERGE })
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'hidden' }, stringData: { a: 'b' } }
      await send({ method: 'POST', path: '/api/v1/namespaces/default/secrets', body: secret })
    },
  },
  {
    name: 'a namespace',
    run: async ({ send }) => {
      const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'spare' } }
      await send({ method: 'POST', path: '/api/v1/namespaces', body })
      await send({ method: 'DELETE', path: '/api/v1/namespaces/spare' })
      const { body: late } = await send({
        method: 'POST',
        path: '/api/v1/namespaces/spare/configmaps',
        body: configMap('late'),
      })
      if (textAt(late, 'reason') !== 'Forbidden') throw new Error(JSON.stringify(late))
    },
  },
]
