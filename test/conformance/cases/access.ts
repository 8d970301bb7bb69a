/** Who may do what. */
import type { Calls, Case } from '../case.ts'
import { at, CONFIG_MAPS, configMap, LEASES, RAFT_CLUSTERS, type Fields } from '../objects.ts'

const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const ROLES = `${RBAC}/namespaces/default/roles`
const BINDINGS = `${RBAC}/namespaces/default/rolebindings`
const MERGE = 'application/merge-patch+json'
const GROUP = 'rbac.authorization.k8s.io'

async function allow({ ask }: Calls, name: string, rules: readonly Fields[]): Promise<void> {
  const metadata = { name }
  const role = { apiVersion: `${GROUP}/v1`, kind: 'Role', metadata, rules }
  await ask({ method: 'POST', path: ROLES, body: role })
  const binding = {
    apiVersion: `${GROUP}/v1`,
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: GROUP, kind: 'Role', name },
    subjects: [{ kind: 'User', apiGroup: GROUP, name: 'reader' }],
  }
  await ask({ method: 'POST', path: BINDINGS, body: binding })
}

/** The real one takes a moment until it knows of a role. */
async function untilAllowed({ settled }: Calls, path: string): Promise<void> {
  await settled({ path, as: 'reader' }, (body) => at(body, 'code') !== 403, () => 'allowed') // prettier-ignore
}

const review = (attributes: Fields): Fields => ({
  apiVersion: 'authorization.k8s.io/v1',
  kind: 'SelfSubjectAccessReview',
  spec: { resourceAttributes: attributes },
})

export const accessCases: readonly Case[] = [
  {
    name: 'access: nothing is allowed that no role allows',
    run: async ({ send }) => {
      await send({ path: CONFIG_MAPS, as: 'reader' })
      await send({ path: `${RAFT_CLUSTERS}/x`, as: 'reader' })
      await send({ path: '/apis/raftkv.dev/v1alpha1/raftclusters', as: 'reader' })
      await send({ method: 'POST', path: CONFIG_MAPS, body: configMap('x'), as: 'reader' })
      await send({ method: 'PATCH', path: `${RAFT_CLUSTERS}/x/status`, body: {}, contentType: MERGE, as: 'reader' })
      await send({ path: '/metrics', as: 'reader' })
    },
  },
  {
    name: 'access: a role allows its verbs, resources and names, in its namespace',
    run: async (calls) => {
      const { send } = calls
      await allow(calls, 'reader', [
        { apiGroups: ['raftkv.dev'], resources: ['raftclusters'], verbs: ['list'] },
        { apiGroups: ['raftkv.dev'], resources: ['raftclusters/scale'], verbs: ['*'] },
        { apiGroups: ['coordination.k8s.io'], resources: ['leases'], resourceNames: ['mine'], verbs: ['get'] },
      ])
      await untilAllowed(calls, RAFT_CLUSTERS)
      await send({ path: `${RAFT_CLUSTERS}?labelSelector=set%3Dnone`, as: 'reader' })
      await send({ path: '/apis/raftkv.dev/v1alpha1/namespaces/kube-system/raftclusters', as: 'reader' })
      await send({ path: `${RAFT_CLUSTERS}/absent`, as: 'reader' })
      await send({ path: `${RAFT_CLUSTERS}/absent/scale`, as: 'reader' })
      await send({ path: `${LEASES}/mine`, as: 'reader' })
      await send({ path: `${LEASES}/other`, as: 'reader' })
      await send({ path: LEASES, as: 'reader' })
      for (const resource of ['raftclusters', 'configmaps']) {
        const body = review({ namespace: 'default', verb: 'list', group: 'raftkv.dev', resource })
        const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
        await send({ method: 'POST', path, body, as: 'reader' })
      }
    },
  },
]
