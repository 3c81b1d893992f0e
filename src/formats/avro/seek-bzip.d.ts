declare module 'seek-bzip' {
  const Bunzip: {
    /** Decompresses a bzip2 stream. @throws if it is corrupt */
    decode(input: Buffer, output: { writeByte(byte: number): void }): void;
  };
  export default Bunzip;
}
