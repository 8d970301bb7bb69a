/** Discovery, and requests that are wrong as such. */
import type { Case } from '../case.ts'
import { at, CONFIG_MAPS, configMap, RAFT_CLUSTERS } from '../objects.ts'

const RAFT_CLUSTER_SCHEMA = 'dev.raftkv.v1alpha1.RaftCluster'

function namesIn(value: unknown): readonly string[] {
  return typeof value === 'object' && value !== null ? Object.keys(value).toSorted() : []
}

export const protocolCases: readonly Case[] = [
  {
    name: 'discovery of our group',
    run: async ({ send }) => {
      await send({ path: '/apis/raftkv.dev' })
      await send({ path: '/apis/raftkv.dev/v1alpha1' })
      await send({ path: '/apis/raftkv.dev/v2' })
    },
  },
  {
    name: 'OpenAPI v3',
    run: async ({ settled }) => {
      const groups = [
        'api/v1',
        'apis/apps/v1',
        'apis/policy/v1',
        'apis/coordination.k8s.io/v1',
        'apis/raftkv.dev/v1alpha1',
      ]
      const isThere = (body: unknown): boolean => groups.every((group) => at(body, 'paths', group) !== undefined)
      await settled({ path: '/openapi/v3' }, isThere, (body) =>
        groups.filter((group) => at(body, 'paths', group) !== undefined),
      )
      const has = (body: unknown): boolean => at(body, 'components', 'schemas', RAFT_CLUSTER_SCHEMA) !== undefined
      await settled({ path: '/openapi/v3/apis/raftkv.dev/v1alpha1' }, has, (body) => ({
        schema: at(body, 'components', 'schemas', RAFT_CLUSTER_SCHEMA),
        paths: namesIn(at(body, 'paths')).map((path) => [
          path,
          namesIn(at(body, 'paths', path)).filter((name) => name !== 'parameters'),
        ]),
      }))
    },
  },
  {
    name: 'what is not there',
    run: async ({ send }) => {
      await send({ path: '/apis/nobody.dev/v1/things' })
      await send({ path: '/api/v1/namespaces/default/nothings' })
      await send({ path: `${CONFIG_MAPS}/absent` })
      await send({ method: 'DELETE', path: `${RAFT_CLUSTERS}/absent` })
      await send({ path: '/api/v1/namespaces/absent' })
    },
  },
  {
    name: 'into a namespace that is not there',
    run: async ({ send }) => {
      const path = '/api/v1/namespaces/absent/configmaps'
      await send({ method: 'POST', path, body: configMap('x') })
      await send({ path })
    },
  },
  {
    name: 'a method that the path does not have',
    run: async ({ send }) => {
      await send({ method: 'POST', path: `${CONFIG_MAPS}/x`, body: configMap('x') })
      await send({ method: 'PUT', path: CONFIG_MAPS, body: configMap('x') })
    },
  },
  {
    name: 'bodies that cannot be read',
    run: async ({ send }) => {
      await send({ method: 'POST', path: CONFIG_MAPS, body: configMap('x'), contentType: 'text/csv' })
      await send({
        method: 'POST',
        path: CONFIG_MAPS,
        body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } },
      })
      await send({ method: 'POST', path: CONFIG_MAPS, body: { ...configMap('x'), apiVersion: 'v9' } })
      await send({
        method: 'POST',
        path: CONFIG_MAPS,
        body: { ...configMap('x'), metadata: { name: 'x', namespace: 'other' } },
      })
    },
  },
  {
    name: 'YAML is taken, too',
    run: async ({ send }) => {
      const body = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  a: b\n'
      await send({ method: 'POST', path: CONFIG_MAPS, body, contentType: 'application/yaml' })
    },
  },
  {
    name: 'names that are none',
    run: async ({ send }) => {
      for (const name of ['Upper', 'under_score', '-dash', 'a'.repeat(254)])
        await send({ method: 'POST', path: CONFIG_MAPS, body: configMap(name) })
      await send({ method: 'POST', path: CONFIG_MAPS, body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: {} } })
    },
  },
]
