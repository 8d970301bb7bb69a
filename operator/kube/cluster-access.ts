/**
 * The API server as operator/cluster wants it: one table from what went wrong in a call to what a decision needs to know
 * about it, and the field managers under which we write.
 */
import type {
  ApplyObject,
  Changes,
  KubeObject,
  KubeProblem,
  KubeReader,
  KubeWriter,
  ListQuery,
  ObjectRef,
} from '../cluster/ports.ts'
import { KubeError } from '../cluster/ports.ts'
import type { ApiProblem } from './api-error.ts'
import { ApiError } from './api-error.ts'
import type { KubeClient } from './client.ts'
import type { Kind } from './object.ts'
import { apiVersionOf, isKind } from './object.ts'

export const FIELD_MANAGER = 'raftcluster-operator'
/** Of its own: an apply takes away what its manager once owned and no longer names. */
export const STATUS_FIELD_MANAGER = 'raftcluster-operator-status'
/** What stands in the status of a RaftCluster about its backups: each manager leaves the conditions of the other alone. */
export const BACKUP_STATUS_FIELD_MANAGER = 'raftcluster-operator-backup-status'

/** Of one cluster's objects: a read that hangs must leave time to say so in status. */
const READ_TIMEOUT_MS = 10_000

const KIND_OF_PROBLEM: Readonly<Record<ApiProblem, KubeProblem['kind']>> = {
  NotFound: 'not-found',
  AlreadyExists: 'conflict',
  Conflict: 'conflict',
  Gone: 'conflict',
  Unauthorized: 'forbidden',
  Forbidden: 'forbidden',
  NamespaceTerminating: 'terminating',
  BadRequest: 'invalid',
  Invalid: 'invalid',
  TooManyRequests: 'unavailable',
  ServerError: 'unavailable',
  Timeout: 'unavailable',
  Unreachable: 'unavailable',
  BadAnswer: 'unavailable',
  Aborted: 'unavailable',
  NotLeader: 'unavailable',
}

export class ClusterAccess implements KubeReader, KubeWriter {
  readonly #client: KubeClient

  readonly #statusManager: string

  /** `client` carries the guard and the signal of one reconcile. */
  constructor(client: KubeClient, statusManager = STATUS_FIELD_MANAGER) {
    this.#client = client
    this.#statusManager = statusManager
  }

  async get(ref: ObjectRef): Promise<KubeObject | undefined> {
    return translated(async () => this.#client.get(kindOf(ref), ref, { timeoutMs: READ_TIMEOUT_MS }))
  }

  async list(query: ListQuery): Promise<readonly KubeObject[]> {
    return translated(async () => (await this.#client.list(kindOf(query), query, { timeoutMs: READ_TIMEOUT_MS })).items)
  }

  async tryCreate(object: ApplyObject): Promise<void> {
    kindOf(object)
    await translated(async () => this.#client.tryCreate(object, { fieldManager: FIELD_MANAGER }))
  }

  async apply(object: ApplyObject): Promise<KubeObject> {
    kindOf(object)
    return translated(async () => this.#client.apply(object, { fieldManager: FIELD_MANAGER }))
  }

  async applyStatus(object: ApplyObject): Promise<KubeObject> {
    kindOf(object)
    return translated(async () => this.#client.applyStatus(object, { fieldManager: this.#statusManager }))
  }

  async create(object: ApplyObject): Promise<KubeObject> {
    kindOf(object)
    return translated(async () => this.#client.create(object, { fieldManager: FIELD_MANAGER }))
  }

  async delete(ref: ObjectRef, preconditions: { readonly uid: string }): Promise<void> {
    await translated(async () => this.#client.delete(kindOf(ref), ref, { uid: preconditions.uid }))
  }

  async patch(ref: ObjectRef, changes: Changes): Promise<KubeObject> {
    const options = { fieldManager: FIELD_MANAGER }
    return translated(async () => this.#client.patch(kindOf(ref), ref, { ...changes }, options))
  }
}

function kindOf(object: { readonly apiVersion: string; readonly kind: string }): Kind {
  const { apiVersion, kind } = object
  if (isKind(kind) && apiVersionOf(kind) === apiVersion) return kind
  throw new KubeError({ kind: 'invalid', message: `the operator does not know ${kind} of ${apiVersion}` })
}

async function translated<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    throw new KubeError({ kind: KIND_OF_PROBLEM[error.problem], message: error.message }, { cause: error })
  }
}
