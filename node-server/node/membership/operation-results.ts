/**
 * First results of operations, as the store keeps them: JSON. An ID may have been used for another kind of operation
 * before; then what stands there is no answer to the one that is asked for now, and the caller is told.
 */
import type { AdminChange, LeaderTransferResult } from '../../../lib/admin-api.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { readJson, type Shape } from '../../../lib/shape.ts'
import { changeJson, transferJson, type Refusal } from '../peer-requests.ts'

export function encodeResult(result: AdminChange | LeaderTransferResult): Buffer {
  return Buffer.from(JSON.stringify(result))
}

export function changeResult(bytes: Uint8Array): Result<AdminChange, Refusal> {
  return decode(changeJson, bytes)
}

export function transferResult(bytes: Uint8Array): Result<LeaderTransferResult, Refusal> {
  return decode(transferJson, bytes)
}

const OF_ANOTHER_KIND: Refusal = {
  problem: 'member-exists',
  error: { code: 'Conflict', message: 'this operationId was used for an operation of another kind: choose a new one' },
}

function decode<Value>(shape: Shape<Value>, bytes: Uint8Array): Result<Value, Refusal> {
  try {
    return ok(readJson(shape, bytes))
  } catch {
    return err(OF_ANOTHER_KIND)
  }
}
