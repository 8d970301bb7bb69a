/** A file that is read again when it has changed. */
import { readFileSync, statSync } from 'node:fs'

/**
 * Replacing a file, or switching a symbolic link on the way to it (as Kubernetes does with a Secret), changes what is
 * looked at here. A look costs some microseconds, far less than the handshake that it is done for.
 */
export class WatchedFile {
  readonly path: string
  #stamp = ''
  #content: Buffer = Buffer.alloc(0)

  constructor(path: string) {
    this.path = path
  }

  /** The content, and a text that differs once the content does. Throws when the file cannot be read. */
  read(): { readonly content: Buffer; readonly stamp: string } {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(this.path, { bigint: true })
    const stamp = [dev, ino, size, mtimeNs, ctimeNs].join()
    if (stamp !== this.#stamp) {
      this.#content = readFileSync(this.path)
      this.#stamp = stamp
    }
    return { content: this.#content, stamp }
  }
}
