/**
 * The port to compression: objects are rows of independent blocks, made and opened on many cores.
 * docs/repository-format.md has the form byte by byte.
 *
 * @module
 */
export { BLOCK_BYTES, decodeBlock, encodeBlock } from "./block.ts";
export { BlockReader, type StoredBlock } from "./block_reader.ts";
export type {
  ClearCopies,
  ClearCopy,
  Codec,
  CodecPool,
  CodecSpec,
  ExpectedForm,
  StoredForm,
} from "./codec_port.ts";
export { formatCodec, parseCodec } from "./parse_codec.ts";
export { StoredFormCheck } from "./stored_form_check.ts";
