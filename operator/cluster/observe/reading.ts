/** Reads of one look at the API server. What fails, or is not what it should be, stands empty and is remembered with its error. */
import { z } from 'zod'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { Unread } from '../observed.ts'
import { KubeError, type KubeObject, type ReconcileDeps } from '../ports.ts'
import { selectorText } from '../resources/names.ts'

export interface Reading {
  readonly unread: readonly Unread[]
  get<T>(apiVersion: string, kind: string, name: string, decode: (object: KubeObject) => T): Promise<T | undefined>
  /** Ours, by label. */
  list<T>(kind: string, decode: (object: KubeObject) => T, labelSelector?: string): Promise<readonly T[]>
  /** Ours, by label; undefined where the API server does not know the kind. */
  listOf(type: Pick<KubeObject, 'apiVersion' | 'kind'>): Promise<readonly KubeObject[] | undefined>
}

export function readingFrom({ reader }: ReconcileDeps, cluster: RaftCluster): Reading {
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
    list: (kind, decode, labelSelector = selectorText(cluster)) =>
      attempt(kind, '', [], async () => {
        const query = { apiVersion: 'v1', kind, namespace, labelSelector }
        return (await reader.list(query)).map(decode)
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
  }
}

function malformed(error: z.ZodError): KubeError {
  const [first] = error.issues
  const message = `unexpected answer from the API server: ${first?.path.join('.')}: ${first?.message}`
  return new KubeError({ kind: 'unavailable', message }, { cause: error })
}
