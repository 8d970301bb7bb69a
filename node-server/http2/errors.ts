/** The other end has broken the protocol so that nothing more can be read from it (RFC 9113 §5.4.1). */
import type { ErrorCode } from './frame.ts'

export class ConnectionError extends Error {
  override readonly name = 'ConnectionError'
  readonly code: ErrorCode

  /** The text goes to the other end. */
  constructor(code: ErrorCode, text: string) {
    super(text)
    this.code = code
  }
}
