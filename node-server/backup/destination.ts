/**
 * Where backups are kept: a bucket (s3.ts) or a directory (directory.ts), which is all the same to the rest. An object has
 * its name once it is whole; what a failure leaves behind has none.
 */
export interface StoredObject {
  readonly name: string
  readonly sizeBytes: number
}

export interface Destination {
  /** For a person; without secrets. */
  readonly url: string
  /** All of the pieces or nothing. Rejects with {@link BackupFailed}, or with what `pieces` does. */
  write(name: string, pieces: AsyncIterable<Uint8Array>): Promise<void>
  /** Throws {@link BackupFailed}, also when there is no such object. */
  read(name: string): AsyncIterable<Uint8Array>
  /** In the order of their names. */
  list(prefix: string): Promise<readonly StoredObject[]>
  /** What is not there is no error. */
  remove(names: readonly string[]): Promise<void>
}

/** The message says what is wrong and what to do, for a person. */
export class BackupFailed extends Error {
  override readonly name = 'BackupFailed'
}
