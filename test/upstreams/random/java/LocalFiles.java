import java.io.File;
import org.apache.iceberg.Files;
import org.apache.iceberg.io.FileIO;
import org.apache.iceberg.io.InputFile;
import org.apache.iceberg.io.OutputFile;

/** Local files without Hadoop, which starts a process for each file that it creates. */
final class LocalFiles implements FileIO {
  @Override
  public InputFile newInputFile(String path) {
    return Files.localInput(path);
  }

  @Override
  public OutputFile newOutputFile(String path) {
    return Files.localOutput(path);
  }

  /** Data files do not exist, so that their deletion has nothing to do. */
  @Override
  public void deleteFile(String path) {
    new File(path).delete();
  }
}
