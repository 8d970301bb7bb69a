/** Kubernetes Events, at most MAX_WAITING on their way; one too many, or one that cannot be written, is dropped. */
import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import type { ApiClient } from '../client/client.ts'
import type { StoredObject } from '../client/object.ts'
import { RESOURCES } from '../client/resource.ts'

const MAX_WAITING = 100

export class EventWriter {
  readonly #client: ApiClient
  readonly #logger: Logger
  readonly #controller: string
  readonly #instance: string
  #waiting = 0

  constructor(client: ApiClient, logger: Logger, controller: string, instance: string) {
    this.#client = client
    this.#logger = logger
    this.#controller = controller
    this.#instance = instance
  }

  emit(about: StoredObject, type: 'Normal' | 'Warning', reason: string, action: string, note: string): void {
    if (this.#waiting >= MAX_WAITING) return
    this.#waiting++
    void this.#write(about, { type, reason, action, note: note.slice(0, 1000) })
      .catch((error: unknown) => this.#logger.debug({ err: error, reason }, 'an event was not written'))
      .finally(() => this.#waiting--)
  }

  async #write(about: StoredObject, fields: Readonly<Record<string, string>>): Promise<void> {
    const { apiVersion, kind, metadata } = about
    const { name, namespace = 'default', uid } = metadata
    await this.#client.create(RESOURCES.events, {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${name}.${randomBytes(8).toString('hex')}`, namespace },
      eventTime: new Date().toISOString().replace('Z', '000Z'),
      reportingController: this.#controller,
      reportingInstance: this.#instance,
      regarding: { apiVersion, kind, namespace, name, uid },
      ...fields,
    })
  }
}
