/** The engines, for tests that each of them must pass. */
import { serveBuiltIn } from '../built-in.ts'
import type { GrpcServer, GrpcServerOptions } from '../engine.ts'
import { serveGrpcJs } from '../grpc-js.ts'

export interface Engine {
  readonly name: string
  serve(options: GrpcServerOptions): Promise<GrpcServer>
}

export const ENGINES: readonly Engine[] = [
  { name: 'built-in', serve: serveBuiltIn },
  { name: 'grpc-js', serve: serveGrpcJs },
]
